"""Draws the tiles of `drawn-grid`: garments and handwritten-looking digits, 28x28 grey, with no download.

Shapes are given in tile units from the tile's centre (x right, y down, -14 to 14), drawn four times too large
and shrunk, so edges come out soft. Shades are factors of the garment's own tone.
"""

import cv2
import numpy as np

SIDE = 28
ZOOM = 4


class Canvas:
    """One tile in the making, seen through one random turn, slant, stretch and shift."""

    def __init__(self, rng: np.random.Generator, turn: float, slant: float, shift: float):
        self.rng = rng
        self.pixels = np.zeros((SIDE * ZOOM, SIDE * ZOOM), np.uint8)
        self.tone, angle, lean = self.vary((120, 250), (-turn, turn), (-slant, slant))
        wide, tall, right, down = self.vary((0.9, 1.04), (0.92, 1.02), (-shift, shift), (-shift, shift))
        turned = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
        self.transform = np.array([[wide, 0], [-lean, tall]]) @ turned
        self.centre = np.array([right, down]) + SIDE / 2

    def vary(self, *ranges: tuple[float, float]) -> list[float]:
        return [self.rng.uniform(low, high) for low, high in ranges]

    def place(self, points, twice: bool) -> list[np.ndarray]:
        """The points, and with `twice` their mirror image too, as pixels of the enlarged tile."""
        sides = ((1, 1), (-1, 1))[: 1 + twice]
        placed = [(np.multiply(points, side) @ self.transform + self.centre) * ZOOM - 0.5 for side in sides]
        return [np.rint(shape).astype(np.int32) for shape in placed]

    def fill(self, points, factor: float = 1.0, twice: bool = False) -> None:
        for shape in self.place(points, twice):
            cv2.fillPoly(self.pixels, [shape], min(255, self.tone * factor))

    def line(self, points, factor: float, width: float, twice: bool = False, chance: float = 1.0) -> None:
        if self.rng.random() < chance:
            shade, thickness = min(255, self.tone * factor), round(width * ZOOM)
            cv2.polylines(self.pixels, self.place(points, twice), False, shade, thickness)

    def tile(self) -> np.ndarray:
        return cv2.resize(self.pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def arc(x: float, y: float, wide: float, tall: float, start: float = 0, end: float = 360) -> np.ndarray:
    """Points along an ellipse or part of it; angles in degrees, clockwise from the right."""
    angles = np.radians(np.linspace(start, end, 13))
    return np.stack([x + wide * np.cos(angles), y + tall * np.sin(angles)], 1)


def sleeves(canvas: Canvas, shoulder: float, top: float, length: float, angle: float, wide: float) -> None:
    """Two sleeves at `angle` from the vertical, each with a cuff."""
    shade, narrowing, cuff = canvas.vary((0.75, 0.98), (0.6, 0.85), (0.45, 0.65))
    along, across = wide * np.array([[np.sin(angle), np.cos(angle)], [-np.cos(angle), np.sin(angle)]])
    start = np.array([shoulder - 0.3, top + 1.4])
    end, seam = start + along * length / wide, start + along * (length - 1.2) / wide
    canvas.fill([start, end, end + narrowing * across, start + across], shade, twice=True)
    canvas.line([seam, seam + narrowing * across], cuff, 0.7, twice=True)


def trunk(canvas: Canvas, shoulder: float, chest: float, hem: float, top: float, bottom: float) -> None:
    """The body of a garment with sleeves, given its half widths, and the seams of the sleeves."""
    armhole = [(shoulder, top + 1.6), (chest, top + 7)]
    canvas.fill([(0, top), (2, top), *armhole, (chest - 0.2, 2), (hem, bottom), (0, bottom)], twice=True)
    canvas.line(np.subtract(armhole, (0.4, 0)), 0.5, 0.6, twice=True)


def neckline(canvas: Canvas, top: float, wide: float, deep: float) -> None:
    """A round or pointed neck opening with a band around it."""
    edge = arc(0, top - 0.3, wide, deep, 0, 180)[:: canvas.rng.choice((1, 1, 6))]
    canvas.fill(edge, 0)
    canvas.line(edge, 0.6, 0.6)


def chest_print(canvas: Canvas) -> None:
    for _ in range(canvas.rng.choice((0, 0, 2, 3, 4))):
        blot = arc(*canvas.vary((-2, 2), (-4, 2), (0.8, 3), (0.5, 1.8)))
        canvas.fill(blot, 0.5 if canvas.tone > 170 else 1.6)


def buttons(canvas: Canvas, x: float, top: float, bottom: float, size: float) -> None:
    for y in np.linspace(top, bottom, canvas.rng.integers(3, 6)):
        canvas.fill(arc(x, y, size, size), 0.15)


def t_shirt(canvas: Canvas) -> None:
    shoulder, chest, hem, top, bottom = canvas.vary((6, 7.5), (5.6, 7), (5.6, 7.4), (-12.5, -11), (10.5, 13))
    sleeves(canvas, shoulder, top, *canvas.vary((5, 7.5), (0.6, 1.05), (4.5, 6)))
    trunk(canvas, shoulder, chest, hem, top, bottom)
    neckline(canvas, top, *canvas.vary((2.6, 3.8), (1.6, 4)))
    chest_print(canvas)


def trouser(canvas: Canvas) -> None:
    waist, hip, ankle, crotch, apart = canvas.vary((3.4, 5), (4.2, 5.8), (2, 3.6), (-7, -3.5), (0.8, 2.2))
    outer = apart + ankle
    side = [(waist, -13), (hip, crotch), (outer + 0.4, 4), (outer, 13)]
    canvas.fill([(0, -13), *side, (apart, 13), (0.4, crotch)], twice=True)
    canvas.line([(-waist, -11.4), (waist, -11.4)], 0.55, 0.6)
    canvas.line([(0, -11), (0, crotch)], 0.6, 0.5)
    canvas.line([(waist - 2, -11), (hip - 0.2, -8)], 0.55, 0.5, twice=True, chance=0.5)
    canvas.line([(hip / 2, crotch), (apart + ankle / 2, 12.5)], 0.75, 0.4, twice=True, chance=0.4)


def pullover(canvas: Canvas) -> None:
    shoulder, chest, hem, top, bottom = canvas.vary((5.4, 6.6), (5, 6.2), (5, 6.3), (-12.5, -11), (9.5, 12))
    sleeves(canvas, shoulder, top, *canvas.vary((17, 20.5), (0.2, 0.35), (3.4, 4.6)))
    trunk(canvas, shoulder, chest, hem, top, bottom)
    canvas.line([(-hem, bottom - 1.6), (hem, bottom - 1.6)], 0.5, 0.7)
    if canvas.rng.random() < 0.75:
        neckline(canvas, top, *canvas.vary((2.2, 3.2), (1, 2.4)))
    else:
        canvas.fill([(0, top - 1.4), (2.2, top - 1.4), (2.7, top + 0.6), (0, top + 0.6)], 0.8, twice=True)
        canvas.line([(-2.7, top + 0.8), (2.7, top + 0.8)], 0.45, 0.6)
    chest_print(canvas)


def dress(canvas: Canvas) -> None:
    shoulder, chest, waist, hem, top = canvas.vary((2.6, 4.2), (3, 4), (2, 3), (4.6, 8.5), (-13, -12))
    belt, flare, deep, width = canvas.vary((-4, -1), (0.35, 0.6), (1.5, 4), (0.5, 1.3))
    if canvas.rng.random() < 0.35:
        sleeves(canvas, shoulder, top, *canvas.vary((3, 9), (0.3, 0.7), (2.4, 3.4)))
    skirt = [(waist, belt), (waist + (hem - waist) * flare, belt + 5), (hem, 13), (0, 13)]
    canvas.fill([(0, top), (1.2, top), (shoulder, top + 0.8), (chest, -7), *skirt], twice=True)
    neckline(canvas, top, shoulder - 0.9, deep)
    canvas.line([(-waist, belt), (waist, belt)], 0.4, width, chance=0.6)
    canvas.line([(waist * 0.4, belt + 2), (hem * 0.5, 12.5)], 0.7, 0.4, twice=True, chance=0.5)


def coat(canvas: Canvas) -> None:
    shoulder, chest, hem, top, bottom = canvas.vary((5.4, 6.8), (5, 6.2), (5.6, 8), (-13, -12), (12.5, 13.5))
    lapel, front, spread, pocket = canvas.vary((-7, -1), (1.2, 2.2), (2.6, 3.8), (2.5, 5.5))
    sleeves(canvas, shoulder, top, *canvas.vary((15.5, 19), (0.16, 0.32), (3.6, 4.8)))
    trunk(canvas, shoulder, chest, hem, top, bottom)
    canvas.fill([(0.6 - spread, top), (0, lapel), (spread - 0.6, top)], 0.2)
    canvas.fill([(1.2, top - 0.5), (spread + 0.6, top + 3.2), (0, lapel + 0.8)], 0.75, twice=True)
    canvas.line([(spread + 0.6, top + 3.2), (0, lapel + 0.8)], 0.35, 0.5, twice=True)
    canvas.line([(0, lapel), (0, bottom)], 0.15, 0.9)
    canvas.line([(2.6, pocket), (5, pocket - 0.5)], 0.4, 0.7, twice=True, chance=0.7)
    canvas.line([(-chest, 1), (chest, 1)], 0.45, 1.2, chance=0.25)
    buttons(canvas, front, lapel + 2, 8, 0.6)


def shirt(canvas: Canvas) -> None:
    shoulder, chest, hem, top, bottom = canvas.vary((5.8, 7), (5.2, 6.2), (5, 6.4), (-12, -10.5), (8.5, 11))
    tails, point, pocket = canvas.vary((0.6, 2), (2.8, 3.6), (-4.5, -3))
    drape = ((16, 19), (0.2, 0.36)) if canvas.rng.random() < 0.7 else ((6, 9), (0.4, 0.7))
    sleeves(canvas, shoulder, top, *canvas.vary(*drape, (3.4, 4.6)))
    trunk(canvas, shoulder, chest, hem, top, bottom)
    canvas.fill(arc(0, bottom - 0.3, hem - 0.8, tails + 0.5, 0, 180))
    canvas.line([(0.9, top + 2), (0.9, bottom + tails)], 0.7, 0.4, twice=True)
    canvas.line([(2, pocket), (2, pocket + 2.6), (4.3, pocket + 2.6), (4.3, pocket)], 0.6, 0.4, chance=0.5)
    buttons(canvas, 0, top + 3.5, bottom - 1, 0.5)
    collar = [(point, top + 0.4), (2, top + 3.4), (0, top + 2)]
    canvas.fill([(0, top - 0.6), (1.8, top - 0.6), (0, top + 2.4)], 0.2, twice=True)
    canvas.fill([(1.4, top - 1.6), *collar], 1.35, twice=True)
    canvas.line(collar, 0.4, 0.5, twice=True)


def sandal(canvas: Canvas) -> None:
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


def sneaker(canvas: Canvas) -> None:
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


def bag(canvas: Canvas) -> None:
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


def ankle_boot(canvas: Canvas) -> None:
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


DRAWINGS = {
    "T-shirt/top": t_shirt,
    "Trouser": trouser,
    "Pullover": pullover,
    "Dress": dress,
    "Coat": coat,
    "Sandal": sandal,
    "Shirt": shirt,
    "Sneaker": sneaker,
    "Bag": bag,
    "Ankle boot": ankle_boot,
}
GARMENTS: tuple[str, ...] = tuple(DRAWINGS)

# Ways to write each digit: strokes through points xy of a 10x10 grid; a repeated point is a corner.
WRITINGS = (
    ("50 23 27 59 77 73 50 23", "60 23 17 49 77 82 50 22 24"),
    ("51 55 59", "33 50 50 59", "32 50 50 59, 29 79"),
    ("22 40 71 64 19 19 89", "12 40 71 73 47 18 17 27 58 89"),
    ("11 40 71 73 44 44 75 87 59 18", "10 80 80 43 43 75 87 59 18"),
    ("20 14 14 94, 70 69", "60 60 16 16 96, 63 69", "20 15 35 84, 80 76 69"),
    ("80 20 20 24 24 54 86 59 18", "30 24 24 54 86 59 18, 30 80"),
    ("60 32 16 38 59 87 65 35 17", "70 43 26 39 69 86 65 36"),
    ("10 80 80 49", "10 80 80 39, 25 75", "12 10 10 80 80 49"),
    ("71 40 22 44 76 68 39 17 35 63 71", "50 22 54 72 50, 54 17 59 87 54"),
    ("72 40 13 45 73 71 71 69", "70 30 23 55 82 70 70 59", "71 40 13 45 72 71 71 67 49 28"),
)
SPLINE = np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]]) / 2


def curve(points: np.ndarray) -> np.ndarray:
    """A smooth line through the points (a Catmull-Rom spline)."""
    padded = np.concatenate([points[:1], points, points[-1:]])
    windows = np.stack([padded[:-3], padded[1:-2], padded[2:-1], padded[3:]], 1)
    return (np.linspace(0, 1, 7)[:, None] ** np.arange(4) @ SPLINE @ windows).reshape(-1, 2)


def stripes(rng: np.random.Generator) -> np.ndarray:
    period, phase, depth, angle = rng.uniform((3, 0, 0.1, -0.2), (7, 6.3, 0.3, 0.2))
    across, down = np.cos(angle) * np.arange(SIDE), np.sin(angle) * np.arange(SIDE)
    return 1 - depth * (np.sin(np.add.outer(down, across) * 2 * np.pi / period + phase) > 0)


def texture(rng: np.random.Generator) -> np.ndarray:
    """What to multiply a tile by: grain, a shadow from one side, stripes or checks."""
    kind, depth = rng.integers(7), rng.uniform(0, 0.25)
    if kind < 2:
        return 1 - depth * rng.random((SIDE, SIDE))
    if kind < 4:
        return 1 - depth * np.linspace(kind - 2, 3 - kind, SIDE)
    return (stripes(rng), stripes(rng).T, stripes(rng) * stripes(rng).T)[kind - 4]


def draw_garment(label: int, rng: np.random.Generator) -> np.ndarray:
    """One garment, uint8 (28, 28), white on black."""
    if label not in range(len(GARMENTS)):
        raise ValueError(f"no garment {label}; labels run from 0 to 9")
    canvas = Canvas(rng, turn=0.09, slant=0.05, shift=0.6)
    DRAWINGS[GARMENTS[label]](canvas)
    return (canvas.tile() * texture(rng)).astype(np.uint8)


def draw_digit(digit: int, rng: np.random.Generator) -> np.ndarray:
    """One handwritten-looking digit, uint8 (28, 28), white on black."""
    if digit not in range(len(WRITINGS)):
        raise ValueError(f"no digit {digit}; digits run from 0 to 9")
    canvas = Canvas(rng, turn=0.15, slant=0.25, shift=0.8)
    canvas.tone, width, narrow, size = canvas.vary((225, 255), (1.6, 3.4), (0.8, 1.12), (1.75, 2.05))
    unsteady = rng.normal(0, 0.27, (10, 10, 2))
    for stroke in rng.choice(WRITINGS[digit]).split(","):
        grid = np.array([divmod(int(point), 10) for point in stroke.split()])
        points = grid + unsteady[grid[:, 0], grid[:, 1]]
        canvas.line((curve(points) - 4.7) * (size * narrow, size), 1.0, width)
    return canvas.tile()


def garments(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Garment tiles, uint8 (count, 28, 28, 1), and their labels, in equal numbers and shuffled."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count, dtype=np.int64) % len(GARMENTS))
    tiles = np.array([draw_garment(label, rng) for label in labels], np.uint8)
    return tiles.reshape(count, SIDE, SIDE, 1), labels


def digits(count: int, seed: int) -> np.ndarray:
    """Digit tiles, uint8 (count, 28, 28, 1), each digit as likely as any other."""
    rng = np.random.default_rng(seed)
    tiles = np.array([draw_digit(digit, rng) for digit in rng.integers(len(WRITINGS), size=count)], np.uint8)
    return tiles.reshape(count, SIDE, SIDE, 1)
