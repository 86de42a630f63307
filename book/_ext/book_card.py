"""Draw the picture that a link to the book is shown with: the digits of the first page, written and made."""

from pathlib import Path

from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 1200, 630  # what messengers ask for
GAP, TOP = 60, 150  # between the two pictures, and above them
INK, GREY = "#1f2328", "#57606a"
SIDES = {"real_digits": "Written by people", "conditional_GAN": "Made by a network"}
ALT = "Two squares of a hundred digits each: real ones, written by people, and ones that a network has made."


def draw_card(title: str, folder: Path) -> Image.Image:
    """The card with a title; folder: of the record whose pictures are shown, squares of one size."""
    card = Image.new("RGB", (WIDTH, HEIGHT), "white")
    pen = ImageDraw.Draw(card)
    pen.text((WIDTH / 2, TOP / 2), title, fill=INK, font=find_font("bold", 54), anchor="mm")
    pictures = {told: Image.open(folder / f"{name}.png") for name, told in SIDES.items()}
    left = (WIDTH - GAP - sum(picture.width for picture in pictures.values())) // 2
    for told, picture in pictures.items():
        card.paste(picture, (left, TOP))
        below = (left + picture.width / 2, TOP + picture.height + 40)
        pen.text(below, told, fill=GREY, font=find_font("normal", 28), anchor="mm")
        left += picture.width + GAP
    return card


def find_font(weight: str, size: int) -> ImageFont.FreeTypeFont:
    """The font that Matplotlib brings along: the card is then the same on every machine."""
    font = font_manager.FontProperties(family="DejaVu Sans", weight=weight)
    return ImageFont.truetype(font_manager.findfont(font), size)
