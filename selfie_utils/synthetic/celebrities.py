"""Celebrities who do not exist, under names that nobody bears; four of them share a famous selfie."""

from selfie_utils.synthetic.description import Person, Photo
from selfie_utils.synthetic.drawing import Plan, draw_person, draw_photo
from selfie_utils.synthetic.seeds import generator

FIRST = (
    *("Alvira", "Bremio", "Calitha", "Dorvane", "Elspira", "Fenno", "Galdis", "Hesper"),
    *("Imolio", "Jorvik", "Kessia", "Lumar", "Mirelo", "Nolwenna", "Orsino"),
)
LAST = (
    *("Abernox", "Blythering", "Corvantes", "Dusk", "Ellowen", "Farthingdale"),
    *("Glimmerhorn", "Hollowbrook", "Inkwater", "Quillfeather"),
)
GROUP_NAME = "The_Famous_Four"
MOST = len(FIRST) * len(LAST)


def famous_four(seed: int) -> list[Person]:
    """Draw the four whose selfie everybody knows, two of them presented as female."""
    return [
        draw_person(generator(seed, "famous", i), gender)
        for i, gender in enumerate(("female", "male", "female", "male"))
    ]


def draw_celebrities(seed: int, count: int, draw_plan, backgrounds: dict) -> dict[str, Photo]:
    """Draw `count` photos (4 to `MOST`) by name: the group selfie of the famous four, and one a celebrity.

    `draw_plan` draws what a photo shows, as for posts (`plans.draw_plan`); friends in group photos are
    celebrities too.
    """
    names = [f"{first}_{last}" for first in FIRST for last in LAST]
    names = generator(seed, "celebrities").permutation(names)[: count - 1].tolist()
    people = famous_four(seed)
    people += [
        draw_person(generator(seed, "celebrities", i + 1), ("female", "male")[i % 2])
        for i in range(len(people), len(names))
    ]
    photos = {}
    for i, name in enumerate(names):
        rng = generator(seed, "celebrities", len(names) + 1 + i)
        plan = draw_plan(rng)
        others = [person for person in people if person is not people[i]]
        friends = [others[k] for k in rng.choice(len(others), plan.people - 1, replace=False)]
        photos[name] = draw_photo(rng, [people[i], *friends], plan, backgrounds)
    group = Plan(people=4)
    photos[GROUP_NAME] = draw_photo(generator(seed, "famous", 4), people[:4], group, backgrounds)
    return photos
