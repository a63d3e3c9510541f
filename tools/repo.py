"""Write the repository's public address into every file that quotes it: `make repo OWNER=name`.

The notebook's set-up cell keeps the address; its badge and the README's are written from it. The README's links to the
page to draw on then lead to where .github/workflows/pages.yml publishes it, since GitHub shows an HTML file as source.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = ("MNIST_6k.ipynb", "README.md")
NAME = "mnist-6k"
# An address on GitHub itself or in one of Colab's links to GitHub: what stands before the owner's name, and the name.
ADDRESS = re.compile(rf"(github\.com/|google\.com/github/)([\w-]+)(?=/{NAME}\b)")
# A link to the page: to the file, or to where an owner publishes it.
PAGE = re.compile(rf"(?<=\]\()(?:web/draw\.html|https://[\w-]+\.github\.io/{NAME}/)(?=\))")
LEGAL = re.compile(r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}")


def owners(text):
    """Return the owners' names in every address of this repository that `text` holds."""
    return [owner for _, owner in ADDRESS.findall(text)]


def set_owner(owner, root=ROOT):
    """Put `owner` into every address in the files under `root`. Raises ValueError for a name GitHub would refuse."""
    if not LEGAL.fullmatch(owner):
        raise ValueError(f"OWNER is {owner!r}; it must be a GitHub name: letters, digits and single hyphens")
    for name in FILES:
        path = Path(root) / name
        text = ADDRESS.sub(rf"\g<1>{owner}", path.read_text(encoding="utf-8"))
        path.write_text(PAGE.sub(f"https://{owner}.github.io/{NAME}/", text), encoding="utf-8")


def main():
    if len(sys.argv) != 2 or not sys.argv[1]:
        sys.exit("Whose repository is it? Give a GitHub name: make repo OWNER=name")
    try:
        set_owner(sys.argv[1])
    except ValueError as error:
        sys.exit(str(error))
    print(f"{' and '.join(FILES)} now point to github.com/{sys.argv[1]}/{NAME}")


if __name__ == "__main__":
    main()
