"""What must hold for any input, not only for those that someone thought of: augmentation, batching, loading."""

import gzip

import pytest
import torch
from helpers import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

import utils
from training.augmentation import warp
from training.data import FILES, make_batch, read_files, shuffled_batches

settings.register_profile("steady", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("steady")

NAME = "t10k-labels-idx1-ubyte"
ARCHIVE = (ROOT / "data" / "MNIST" / "raw" / f"{NAME}.gz").read_bytes()

seeds = st.integers(0, 2**32)


def pictures(n, seed):
    return torch.randint(0, 256, (n, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.numeric
@given(n=st.integers(1, 40), seed=seeds)
def test_warp_stays_between_background_and_the_brightest_pixel(n, seed):
    """No pixel comes out brighter than the brightest that went in, nor darker than the background."""
    images = pictures(n, seed)
    seen = warp(images, utils.random_affines(n, degrees=180, shift=1, scale=0.8, shear=80))
    assert seen.shape == images.shape
    assert seen.min() >= 0
    assert (seen.amax(dim=(1, 2, 3)) <= images.amax(dim=(1, 2, 3)) + 0.01).all()


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


places = st.integers(0, len(ARCHIVE) - 1)
damages = st.one_of(
    st.builds(lambda end: ARCHIVE[:end], places),
    st.builds(
        lambda at, bits: ARCHIVE[:at] + bytes([ARCHIVE[at] ^ bits]) + ARCHIVE[at + 1 :], places, st.integers(1, 255)
    ),
    st.builds(lambda at, extra: ARCHIVE[:at] + extra + ARCHIVE[at:], places, st.binary(min_size=1, max_size=20)),
    st.binary(max_size=100),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("raw")


@given(damage=damages, unpacked=st.booleans())
def test_damaged_file_is_reported_or_read_correctly(folder, damage, unpacked):
    """In an archive, whose header has bits that mean nothing, or in a file that was unpacked from it."""
    for path in folder.iterdir():
        path.unlink()
    if unpacked:
        (folder / NAME).write_bytes(gzip.decompress(ARCHIVE)[: len(damage)] if damage[:1] == ARCHIVE[:1] else damage)
    else:
        (folder / f"{NAME}.gz").write_bytes(damage)
    contents, problems = read_files(folder)
    content = dict(zip(FILES, contents, strict=True))[NAME]
    if problems:
        assert content is None
        assert NAME in problems[0]
    else:
        assert content == gzip.decompress(ARCHIVE)
