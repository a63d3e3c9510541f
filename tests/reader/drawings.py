"""Draw digits as ink, float [H, W] from 0 to 1, and as pictures."""

import numpy as np
from PIL import Image, ImageDraw

# Digit → its strokes, as x and y of points in a square of 280×280.
STROKES = {
    0: ["150 48 105 62 82 120 84 180 112 226 155 232 192 198 203 140 192 82 150 48"],
    1: ["112 84 140 62 152 50 148 110 143 170 138 232"],
    2: ["84 94 98 62 140 48 182 66 190 104 166 146 124 188 82 226 130 222 204 224"],
    3: ["90 70 128 46 176 60 180 102 130 132 182 152 196 196 158 232 106 230 80 206"],
    4: ["128 50 108 104 86 156 140 154 208 148", "176 92 170 150 162 236"],
    5: ["186 56 110 58 104 124 150 114 194 144 196 194 156 230 88 222"],
    6: ["172 46 124 92 92 154 96 210 140 236 186 212 184 168 146 148 104 172"],
    7: ["80 62 136 60 200 58 168 122 144 178 128 236"],
    8: ["188 76 142 50 102 76 128 124 178 166 186 212 142 236 100 210 116 160 166 118 188 76"],
    9: ["188 96 156 56 106 70 96 120 136 146 182 120 190 90 182 160 168 236"],
}


def ink_of_lines(*lines, size=(300, 200), pen=6):
    """Return the ink of `lines`, lists of (x, y), with round ends, in a picture of `size`, (width, height)."""
    canvas = Image.new("L", [4 * n for n in size])
    draw = ImageDraw.Draw(canvas)
    for line in lines:
        points = [(4 * x, 4 * y) for x, y in line]
        draw.line(points, fill=255, width=4 * pen)
        for x, y in points:
            draw.ellipse((x - 2 * pen, y - 2 * pen, x + 2 * pen, y + 2 * pen), fill=255)
    return np.asarray(canvas.resize(size, Image.Resampling.BOX), dtype=float) / 255


def ellipse(x, y, width, height):
    """Return the points of an ellipse around (x, y), a line for `ink_of_lines`."""
    return [(x + width / 2 * np.cos(t), y + height / 2 * np.sin(t)) for t in np.linspace(0, 2 * np.pi, 80)]


def ink_of(digit, square, size=(300, 200), pen=6):
    """Return the ink of `digit` in `square`, (left, top, side), of a picture of `size`, (width, height)."""
    left, top, side = square
    strokes = (np.array(stroke.split(), dtype=float).reshape(-1, 2) for stroke in STROKES[digit])
    return ink_of_lines(*[stroke * side / 280 + [left, top] for stroke in strokes], size=size, pen=pen)


def ink_of_number(text, width=46, falls=0):
    """Return the ink of the digits in `text`, every `width` pixels and each `falls` pixels lower than the last."""
    size = 100 + width * len(text), 120 + abs(falls) * len(text)
    top = 30 + max(0, -falls) * len(text)
    squares = [(digit, (20 + width * i, top + falls * i, 60)) for i, digit in enumerate(text) if digit != " "]
    return np.maximum.reduce([ink_of(int(digit), square, size, 5) for digit, square in squares])


def trim(ink):
    """Return `ink` without its empty margins."""
    rows, columns = np.nonzero(ink > 0.1)
    return ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def as_image(ink):
    """Return `ink` as black on white, a grey PIL image."""
    return Image.fromarray(np.uint8(255 * (1 - ink)))


def on_desk(paper, desk):
    """Return `paper`, brightness [H, W], in the middle of a desk twice as wide and high."""
    height, width = paper.shape
    picture = np.full((2 * height, 2 * width), desk)
    picture[height // 2 : height // 2 + height, width // 2 : width // 2 + width] = paper
    return picture
