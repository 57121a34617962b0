"""A log file has lines that can be read, a terminal bars that move."""

import io

from selfie_utils.runner.narration import EVERY, Bars, Narrator


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_quiet_notebook_takes_one_line():
    log = io.StringIO()
    narrator = Narrator(log)
    narrator.say("3 notebooks")
    narrator.begin("[1/3] 00_data")
    for nothing in ("", "\n", "  \n"):
        narrator.write(nothing)
    narrator.end("9.0 s")
    narrator.say()
    assert log.getvalue() == "3 notebooks\n[1/3] 00_data 9.0 s\n\n"


def test_what_a_kernel_writes_starts_a_line_and_the_verdict_another():
    log = io.StringIO()
    narrator = Narrator(log)
    narrator.begin("00_data")
    narrator.write("first\r\n")
    narrator.write("sec")
    narrator.write("ond\n\n   \nthird  ")
    narrator.end("2 s")
    narrator.begin("01_train")
    narrator.end("3 s")
    assert log.getvalue() == "00_data \n    first\n    second\n    third\n    2 s\n01_train 3 s\n"


def test_on_a_terminal_everything_passes_as_it_comes():
    terminal = Terminal()
    narrator = Narrator(terminal)
    narrator.begin("00_data")
    narrator.write("\rfaces: 10%")
    narrator.write("\rfaces: 20%")
    narrator.end("2 s")
    narrator.begin("01_train")
    narrator.write("done\n  ")  # after which the line is still empty
    narrator.end("3 s")
    wanted = "00_data \n\rfaces: 10%\rfaces: 20%\n    2 s\n01_train \ndone\n      3 s\n"
    assert terminal.getvalue() == wanted


def test_a_bar_in_a_log_gives_a_sign_every_thirty_seconds(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    log = io.StringIO()
    narrator = Narrator(log)
    assert EVERY == 30
    narrator.begin("01_train")
    for second in range(0, 101, 10):
        clock[0] = 1000.0 + second
        narrator.write(f"{second} s\r")
    narrator.end("101 s")
    # 30 seconds after the beginning, and after each sign; the last state was wiped out by its own return.
    assert log.getvalue() == "01_train \n    30 s\n    60 s\n    90 s\n    101 s\n"


def test_a_line_that_was_overwritten_leaves_no_trace_in_a_log():
    log = io.StringIO()
    narrator = Narrator(log, every=1e9)
    narrator.begin("01_train")
    narrator.write("a long first state\rshort\n")
    narrator.end("1 s")
    assert log.getvalue() == "01_train \n    short\n    1 s\n"


def test_without_a_place_to_write_it_speaks_to_the_user(capsys):
    narrator = Narrator()
    narrator.begin("00_data")
    narrator.end("1 s")
    narrator.flush()
    assert capsys.readouterr().out == "00_data 1 s\n"


class Buffered(io.StringIO):
    """Shows only what was flushed, as a pipe would."""

    shown = ""

    def flush(self):
        self.shown = self.getvalue()


def test_nothing_waits_in_a_buffer():
    log = Buffered()
    narrator = Narrator(log)
    narrator.begin("00_data")
    assert log.shown == "00_data "
    narrator.write("hello\n")
    assert log.shown == "00_data \n    hello\n"
    narrator.end("1 s")
    assert log.shown == "00_data \n    hello\n    1 s\n"


def test_of_what_a_kernel_prints_only_progress_bars_are_passed_on():
    out = io.StringIO()
    narrator = Narrator(out)
    narrator.begin("00_data")
    bars = Bars(narrator)
    for piece in ("hello\n", "\rcounting: 0%", "\rcounting: 50%", "\rcounting: 100%", "\n", "bye\n", "\n"):
        bars.write(piece)
    assert out.getvalue() == "00_data \n    counting: 100%\n"
