"""What must hold for any input: batches and files."""

import gzip

import pytest
import torch
from helpers import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

import utils
from training.data import FILES, make_batch, read_files, shuffled_batches

settings.register_profile("steady", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("steady")

NAME = "t10k-labels-idx1-ubyte"
ARCHIVE = (ROOT / "data" / "MNIST" / "raw" / f"{NAME}.gz").read_bytes()

seeds = st.integers(0, 2**32)


def pictures(n, seed):
    return torch.randint(0, 256, (n, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


@given(n=st.integers(1, 2000), batch_size=st.integers(1, 300), seed=seeds)
def test_shuffled_batches_contain_every_image_and_are_full(n, batch_size, seed):
    order = shuffled_batches(n, batch_size, torch.Generator().manual_seed(seed))
    assert order.shape == (-(-n // batch_size), batch_size)
    assert order.flatten()[:n].sort().values.tolist() == list(range(n))
    assert torch.equal(order.flatten()[n:], order.flatten().repeat(batch_size)[: order.numel() - n])  # filled up
    assert n < 20 or order.flatten()[:n].tolist() != list(range(n))


@pytest.mark.numeric
@given(n=st.integers(1, 60), batch_size=st.integers(1, 40), seed=seeds)
def test_make_batch_returns_the_images_and_labels_of_its_indices(n, batch_size, seed):
    """Identity maps change nothing."""
    generator = torch.Generator().manual_seed(seed)
    split = utils.Split(pictures(n, seed), torch.randint(0, 10, (n,), generator=generator))
    still = utils.identity_affines(n)
    for rows in shuffled_batches(n, batch_size, generator):
        images, labels = make_batch(split, rows, still)
        assert torch.equal(labels, split.labels[rows])
        torch.testing.assert_close(images, utils.normalize(split.images[rows]), atol=1e-3, rtol=0)


@st.composite
def damages(draw):
    """Return the archive cut off, with one byte changed, or with bytes inserted."""
    at = draw(st.integers(0, len(ARCHIVE) - 1))
    changed = bytes([ARCHIVE[at] ^ draw(st.integers(1, 255))]) + ARCHIVE[at + 1 :]
    return ARCHIVE[:at] + draw(st.sampled_from([b"", changed, b"12345" + ARCHIVE[at:]]))


@given(damage=damages())
def test_damaged_archive_is_reported_or_read_correctly(tmp_path_factory, damage):
    """An archive's header has bits that mean nothing."""
    folder = tmp_path_factory.mktemp("raw")
    (folder / f"{NAME}.gz").write_bytes(damage)
    contents, problems = read_files(folder)
    content = dict(zip(FILES, contents, strict=True))[NAME]
    if problems:
        assert content is None
        assert NAME in problems[0]
    else:
        assert content == gzip.decompress(ARCHIVE)
