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

ARCHIVE = (ROOT / "data" / "MNIST" / "raw" / "t10k-labels-idx1-ubyte.gz").read_bytes()
NAME = "t10k-labels-idx1-ubyte"

seeds = st.integers(0, 2**32)
limits = st.fixed_dictionaries(
    {
        "degrees": st.floats(0, 180),
        "shift": st.floats(0, 1),
        "scale": st.floats(0, 0.8),
        "shear": st.floats(0, 80),
    }
)


def pictures(n, seed):
    return torch.randint(0, 256, (n, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.numeric
@given(n=st.integers(0, 300), limits=limits, seed=seeds)
def test_random_affines_are_finite_and_within_their_limits(n, limits, seed):
    maps = utils.random_affines(n, **limits, generator=torch.Generator().manual_seed(seed))
    again = utils.random_affines(n, **limits, generator=torch.Generator().manual_seed(seed))
    assert maps.shape == (n, 2, 3)
    assert maps.dtype == torch.float32
    assert maps.isfinite().all()
    assert torch.equal(maps, again)
    assert (maps[:, :, 2].abs() <= 2 * limits["shift"] + 1e-5).all()
    zoom = 1 / torch.linalg.det(maps[:, :, :2]).sqrt()
    assert ((zoom - 1).abs() <= limits["scale"] + 1e-3).all()


@pytest.mark.numeric
@given(n=st.integers(1, 40), limits=limits, seed=seeds)
def test_warp_stays_between_background_and_the_brightest_pixel(n, limits, seed):
    """No pixel comes out brighter than the brightest that went in, nor darker than the background."""
    images = pictures(n, seed)
    seen = warp(images, utils.random_affines(n, **limits))
    assert seen.shape == images.shape
    assert seen.min() >= 0
    assert (seen.amax(dim=(1, 2, 3)) <= images.amax(dim=(1, 2, 3)) + 0.01).all()


@given(n=st.integers(1, 2000), batch_size=st.integers(1, 300), seed=seeds)
def test_shuffled_batches_contain_every_image_and_are_full(n, batch_size, seed):
    order = shuffled_batches(n, batch_size, torch.Generator().manual_seed(seed))
    assert order.shape == (-(-n // batch_size), batch_size)
    assert order.flatten()[:n].sort().values.tolist() == list(range(n))
    assert torch.equal(order.flatten()[n:], order.flatten().repeat(batch_size)[: order.numel() - n])  # filled up


@pytest.mark.numeric
@given(n=st.integers(1, 60), batch_size=st.integers(1, 40), seed=seeds)
def test_make_batch_returns_the_images_and_labels_of_its_indices(n, batch_size, seed):
    generator = torch.Generator().manual_seed(seed)
    split = utils.Split(pictures(n, seed), torch.randint(0, 10, (n,), generator=generator))
    still = utils.identity_affines(n)
    for rows in shuffled_batches(n, batch_size, generator):
        images, labels = make_batch(split, rows, still)
        assert torch.equal(labels, split.labels[rows])
        torch.testing.assert_close(images, utils.normalize(split.images[rows]), atol=1e-3, rtol=0)


@pytest.mark.numeric
@given(steps=st.integers(1, 3000), warmup=st.floats(0.01, 0.99))
def test_one_cycle_stays_between_zero_and_its_peak(steps, warmup):
    multipliers = utils.one_cycle(steps, warmup)
    assert multipliers.shape == (steps,)
    assert (multipliers >= -1e-6).all()
    assert (multipliers <= 1 + 1e-6).all()
    assert multipliers[-1].abs() < 1e-5


damages = st.one_of(
    st.builds(lambda end: ARCHIVE[:end], st.integers(0, len(ARCHIVE) - 1)),
    st.builds(
        lambda place, bits: ARCHIVE[:place] + bytes([ARCHIVE[place] ^ bits]) + ARCHIVE[place + 1 :],
        st.integers(0, len(ARCHIVE) - 1),
        st.integers(1, 255),
    ),
    st.builds(
        lambda place, extra: ARCHIVE[:place] + extra + ARCHIVE[place:],
        st.integers(0, len(ARCHIVE)),
        st.binary(min_size=1, max_size=20),
    ),
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
