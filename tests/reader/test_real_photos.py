"""experiments/real_photos.py on pictures drawn here."""

from drawings import as_image, ink_of
from PIL import Image

from experiments import real_photos


def test_evaluate_counts_by_task_and_kind(net, tmp_path):
    (tmp_path / "pictures").mkdir()
    as_image(ink_of(3, (20, 20, 80), (120, 120), 8)).save(tmp_path / "pictures" / "three.png")
    Image.new("L", (90, 90)).save(tmp_path / "pictures" / "blank.png")
    lines = ["file,task,kind,label", "three.png,digit,drawing,3", "three.png,digit,drawing,4"]
    lines += ["blank.png,digit,drawing,5", "three.png,number,drawing,3"]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    digit, number = real_photos.evaluate(net, tmp_path)
    assert (digit["pictures"], digit["right"], digit["simple_right"]) == (3, 1, 1)
    assert (digit["with_warning"], digit["wrong_without_warning"]) == (1, 1)
    assert (number["task"], number["pictures"], number["right"]) == ("number", 1, 1)
