"""The garments of `drawn-grid`, in the order of the classes of Fashion-MNIST."""

from collections.abc import Callable

import numpy as np

from keras_actmaps.core.types import Array
from keras_actmaps.data.drawn.canvas import SIDE, Canvas, arc
from keras_actmaps.data.drawn.parts import add_buttons, add_chest_print, add_neckline, add_sleeves, add_trunk, texture


def _t_shirt(canvas: Canvas) -> None:
    """A T-shirt: short sleeves, often a print."""
    shoulder, chest, hem, top, bottom = canvas.vary((6, 7.5), (5.6, 7), (5.6, 7.4), (-12.5, -11), (10.5, 13))
    add_sleeves(canvas, shoulder, top, *canvas.vary((5, 7.5), (0.6, 1.05), (4.5, 6)))
    add_trunk(canvas, shoulder, chest, hem, top, bottom)
    add_neckline(canvas, top, *canvas.vary((2.6, 3.8), (1.6, 4)))
    add_chest_print(canvas)


def _trouser(canvas: Canvas) -> None:
    """Trousers: two legs, a waistband and creases."""
    waist, hip, ankle, crotch, apart = canvas.vary((3.4, 5), (4.2, 5.8), (2, 3.6), (-7, -3.5), (0.8, 2.2))
    outer = apart + ankle
    side = [(waist, -13), (hip, crotch), (outer + 0.4, 4), (outer, 13)]
    canvas.fill([(0, -13), *side, (apart, 13), (0.4, crotch)], twice=True)
    canvas.line([(-waist, -11.4), (waist, -11.4)], 0.55, 0.6)
    canvas.line([(0, -11), (0, crotch)], 0.6, 0.5)
    canvas.line([(waist - 2, -11), (hip - 0.2, -8)], 0.55, 0.5, twice=True, chance=0.5)
    canvas.line([(hip / 2, crotch), (apart + ankle / 2, 12.5)], 0.75, 0.4, twice=True, chance=0.4)


def _pullover(canvas: Canvas) -> None:
    """A pullover: long sleeves, a hem, a neckline or a turtleneck."""
    shoulder, chest, hem, top, bottom = canvas.vary((5.4, 6.6), (5, 6.2), (5, 6.3), (-12.5, -11), (9.5, 12))
    add_sleeves(canvas, shoulder, top, *canvas.vary((17, 20.5), (0.2, 0.35), (3.4, 4.6)))
    add_trunk(canvas, shoulder, chest, hem, top, bottom)
    canvas.line([(-hem, bottom - 1.6), (hem, bottom - 1.6)], 0.5, 0.7)
    if canvas.rng.random() < 0.75:
        add_neckline(canvas, top, *canvas.vary((2.2, 3.2), (1, 2.4)))
    else:
        canvas.fill([(0, top - 1.4), (2.2, top - 1.4), (2.7, top + 0.6), (0, top + 0.6)], 0.8, twice=True)
        canvas.line([(-2.7, top + 0.8), (2.7, top + 0.8)], 0.45, 0.6)
    add_chest_print(canvas)


def _dress(canvas: Canvas) -> None:
    """A dress: a waist and a flared skirt, sometimes sleeves."""
    shoulder, chest, waist, hem, top = canvas.vary((2.6, 4.2), (3, 4), (2, 3), (4.6, 8.5), (-13, -12))
    belt, flare, deep, width = canvas.vary((-4, -1), (0.35, 0.6), (1.5, 4), (0.5, 1.3))
    if canvas.rng.random() < 0.35:
        add_sleeves(canvas, shoulder, top, *canvas.vary((3, 9), (0.3, 0.7), (2.4, 3.4)))
    skirt = [(waist, belt), (waist + (hem - waist) * flare, belt + 5), (hem, 13), (0, 13)]
    canvas.fill([(0, top), (1.2, top), (shoulder, top + 0.8), (chest, -7), *skirt], twice=True)
    add_neckline(canvas, top, shoulder - 0.9, deep)
    canvas.line([(-waist, belt), (waist, belt)], 0.4, width, chance=0.6)
    canvas.line([(waist * 0.4, belt + 2), (hem * 0.5, 12.5)], 0.7, 0.4, twice=True, chance=0.5)


def _coat(canvas: Canvas) -> None:
    """A coat: long sleeves, lapels, an open front and buttons."""
    shoulder, chest, hem, top, bottom = canvas.vary((5.4, 6.8), (5, 6.2), (5.6, 8), (-13, -12), (12.5, 13.5))
    lapel, front, spread, pocket = canvas.vary((-7, -1), (1.2, 2.2), (2.6, 3.8), (2.5, 5.5))
    add_sleeves(canvas, shoulder, top, *canvas.vary((15.5, 19), (0.16, 0.32), (3.6, 4.8)))
    add_trunk(canvas, shoulder, chest, hem, top, bottom)
    canvas.fill([(0.6 - spread, top), (0, lapel), (spread - 0.6, top)], 0.2)
    canvas.fill([(1.2, top - 0.5), (spread + 0.6, top + 3.2), (0, lapel + 0.8)], 0.75, twice=True)
    canvas.line([(spread + 0.6, top + 3.2), (0, lapel + 0.8)], 0.35, 0.5, twice=True)
    canvas.line([(0, lapel), (0, bottom)], 0.15, 0.9)
    canvas.line([(2.6, pocket), (5, pocket - 0.5)], 0.4, 0.7, twice=True, chance=0.7)
    canvas.line([(-chest, 1), (chest, 1)], 0.45, 1.2, chance=0.25)
    add_buttons(canvas, front, lapel + 2, 8, 0.6)


def _shirt(canvas: Canvas) -> None:
    """A shirt: a collar, a button strip and rounded tails."""
    shoulder, chest, hem, top, bottom = canvas.vary((5.8, 7), (5.2, 6.2), (5, 6.4), (-12, -10.5), (8.5, 11))
    tails, point, pocket = canvas.vary((0.6, 2), (2.8, 3.6), (-4.5, -3))
    drape = ((16, 19), (0.2, 0.36)) if canvas.rng.random() < 0.7 else ((6, 9), (0.4, 0.7))
    add_sleeves(canvas, shoulder, top, *canvas.vary(*drape, (3.4, 4.6)))
    add_trunk(canvas, shoulder, chest, hem, top, bottom)
    canvas.fill(arc(0, bottom - 0.3, hem - 0.8, tails + 0.5, 0, 180))
    canvas.line([(0.9, top + 2), (0.9, bottom + tails)], 0.7, 0.4, twice=True)
    canvas.line([(2, pocket), (2, pocket + 2.6), (4.3, pocket + 2.6), (4.3, pocket)], 0.6, 0.4, chance=0.5)
    add_buttons(canvas, 0, top + 3.5, bottom - 1, 0.5)
    collar = [(point, top + 0.4), (2, top + 3.4), (0, top + 2)]
    canvas.fill([(0, top - 0.6), (1.8, top - 0.6), (0, top + 2.4)], 0.2, twice=True)
    canvas.fill([(1.4, top - 1.6), *collar], 1.35, twice=True)
    canvas.line(collar, 0.4, 0.5, twice=True)


def _sandal(canvas: Canvas) -> None:
    """A sandal: a sole, a heel and straps."""
    heel, thick, strap, rise, lean = canvas.vary((0, 8), (1.4, 2.8), (1.2, 2.4), (-7.5, -5), (1.5, 4))
    ankle = rise + 0.5 * heel
    sole = np.array([(-13, 8), (-9, 8.4), (-4, 8), (2, 0.6 * heel + 3.2), (8, heel), (12.5, heel - 0.6)])
    canvas.fill(np.vstack([sole, np.add(sole[::-1], (0, thick))]))
    canvas.fill([(8 + 0.2 * thick, heel + 1), (12.6, heel), (12.2, 10.5), (10, 10.5)], 0.75)
    for x in np.linspace(-10, -3.5, canvas.rng.integers(2, 5)):
        canvas.line([(x, 8.4), (x + 0.3 * lean, 5.5 - 0.2 * x), (x + lean, 2 - 0.25 * x)], 0.95, strap)
    canvas.line([(11.8, heel), (11.4, ankle)], 0.9, strap)
    canvas.line(arc(7.8, ankle, 3.8, 1.3), 1.0, 1.1)
    canvas.line([(lean - 8, 3.6), (4.2, ankle)], 0.85, 1, chance=0.6)


def _sneaker(canvas: Canvas) -> None:
    """A sneaker: a bright sole, laces and stripes."""
    collar, tongue, toe, ground, thick = canvas.vary((-5, -2.5), (-6.5, -4), (1, 3), (5.5, 7.5), (1.4, 2.4))
    front = [(-13, ground), (-13, toe + 1.6), (-10.5, toe), (-6, toe - 1.5), (3, tongue), (5, tongue + 0.6)]
    canvas.fill([*front, (6, collar + 2), (9.5, collar + 1.8), (12, collar), (12.8, ground)])
    edge = [(13, ground - thick), (-13.2, ground - thick)]
    canvas.fill([*edge, (-13, ground + 0.4), (12.8, ground + 0.4)], 0.55 if canvas.tone > 190 else 1.35)
    canvas.line(edge, 0.3, 0.5)
    for part in np.linspace(0.15, 0.85, canvas.rng.integers(3, 5)):
        x, y = 3 - 8 * part, tongue + (toe - 1.5 - tongue) * part * 0.9
        canvas.line([(x - 0.8, y - 0.2), (x + 1.4, y + 2.2)], 0.3, 0.6)
    canvas.line([(-9, toe - 0.4), (-7, ground - thick)], 0.55, 0.5)
    for x in range(2, 2 + 2 * canvas.rng.integers(4), 2):
        canvas.line([(x, tongue + 3.4), (x + 2.2, ground - thick)], 0.4, 0.9)


def _bag(canvas: Canvas) -> None:
    """A bag: a handle, and a flap with a clasp or a seam."""
    wide, narrow, top, bottom, grip = canvas.vary((8.5, 13), (8, 13), (-5, 0), (9, 12.5), (3.5, 8))
    high, thick, flap, clasp = canvas.vary((5, 8), (0.9, 1.8), (0.3, 0.6), (0.2, 1.5))
    canvas.line(arc(0, top + 0.5, grip, high, 180, 360)[:: canvas.rng.choice((1, 1, 6))], 0.9, thick)
    side = [(narrow - 1.5, top), (narrow, top + 1.5), (wide, bottom - 2), (wide - 2, bottom)]
    canvas.fill([(0, top), *side, (0, bottom)], twice=True)
    edge = top + flap * (bottom - top)
    if canvas.rng.random() < 0.6:
        canvas.line([(narrow, top + 1), (narrow * 0.7, edge), (0, edge)], 0.45, 0.6, twice=True)
        canvas.fill(arc(0, edge, 1.3, 1), clasp)
    else:
        canvas.line([(-narrow, top + 1.8), (narrow, top + 1.8)], 0.45, 0.7)
        canvas.line([(grip, top), (grip, top + 4)], 0.5, thick, twice=True)


def _ankle_boot(canvas: Canvas) -> None:
    """An ankle boot: a shaft and a heel, with laces, elastic, a strap or nothing."""
    top, front, toe, heel, instep = canvas.vary((-13, -9), (-1, 3.5), (3, 5.5), (1, 3.8), (0, 3))
    ground = 12.8 - heel
    foot = [(-12.8, ground), (-13, toe + 2.4), (-10, toe), (-5, instep + 1), (front - 1, -2), (front, top)]
    canvas.fill([*foot, (12, top), (11.4, -1), (12.8, 4), (12.6, ground)])
    canvas.fill([(front + 4.5, ground), (12.8, ground), (12.3, 13), (front + 6, 13)], 0.6)
    canvas.line([(-13, ground), (12.8, ground)], 0.45, 1.2)
    canvas.line([(front, top + 1.2), (12, top + 1.2)], 0.6, 0.6)
    laces = [[(front - 0.4, y), (front + 3, y + 0.6)] for y in np.arange(top + 3, 1, 2.4)]
    elastic = [[(x, top + 1), (8, -1.5)] for x in (6, 7, 8, 9, 10)]
    strap = [[(front - 2, 0.5), (12, 1.5)]]
    for points in (laces, elastic, strap, [])[canvas.rng.integers(4)]:
        canvas.line(points, 0.4, 0.7)


DRAWINGS: dict[str, Callable[[Canvas], None]] = {
    "T-shirt/top": _t_shirt,
    "Trouser": _trouser,
    "Pullover": _pullover,
    "Dress": _dress,
    "Coat": _coat,
    "Sandal": _sandal,
    "Shirt": _shirt,
    "Sneaker": _sneaker,
    "Bag": _bag,
    "Ankle boot": _ankle_boot,
}
GARMENTS: tuple[str, ...] = tuple(DRAWINGS)


def draw_garment(label: int, rng: np.random.Generator) -> Array:
    """One garment, uint8 (28, 28), white on black."""
    if label not in range(len(GARMENTS)):
        raise ValueError(f"the label of a garment must be an integer from 0 to 9, got {label}")
    canvas = Canvas(rng, turn=0.09, slant=0.05, shift=0.6)
    DRAWINGS[GARMENTS[label]](canvas)
    return (canvas.tile() * texture(rng)).astype(np.uint8)


def draw_garments(count: int, seed: int) -> tuple[Array, Array]:
    """Garments, uint8 (count, 28, 28, 1), and their labels, balanced and shuffled."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count, dtype=np.int64) % len(GARMENTS))
    tiles = np.array([draw_garment(label, rng) for label in labels], np.uint8)
    return tiles.reshape(count, SIDE, SIDE, 1), labels
