from __future__ import annotations

import copy
import math
import sys
import tempfile
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F

from visagist.errors import InputError
from visagist.recognition.classifier import UNLABELLED, Classifier, Rejection
from visagist.recognition.losses.margins import AdaFace, ArcFace, CosFace, Margin
from visagist.recognition.losses.uir import FORMS, uir_terms

CLASSES, DIMENSION, ROWS = 11, 6, 12
LABELS = torch.tensor([0, 10, 4, 4, -1, -1, 7, 5, 6, 10, -1, -1])
CASES: dict[str, tuple[Margin, Rejection | None, float]] = {
    "arcface released": (ArcFace(0.3), Rejection("released"), 1.0),
    "cosface kl": (CosFace(0.2), Rejection("kl"), 1.0),
    "adaface paper": (AdaFace(0.3), Rejection("paper"), 1.0),
    "released, highest 4": (ArcFace(0.3), Rejection("released", top=4), 1.0),
    "kl, more than there are": (ArcFace(0.3), Rejection("kl", top=40), 1.0),
    "plain softmax, no rejection": (Margin(), None, 1.0),
}


def problem() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    features = 5 * torch.randn(ROWS, DIMENSION, dtype=torch.float64, generator=generator)
    centres = torch.randn(CLASSES, DIMENSION, dtype=torch.float64, generator=generator)
    return features, centres


def run(case: str, features: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Losses and gradients of the rows of this process, and the centres' gradients of all."""
    margin, rejection, share = CASES[case]
    _, centres = problem()
    margin = copy.deepcopy(margin)
    classifier = Classifier(CLASSES, DIMENSION, margin=margin, scale=8.0, share=share).double()
    classifier.load_centres(centres)
    features = features.clone().requires_grad_()
    verdict = classifier(features, labels, rejection)
    (verdict.margin + 0.7 * verdict.rejection).backward()
    assert features.grad is not None
    assert classifier.centres.grad is not None
    assert torch.equal(classifier.all_centres(), centres)
    with torch.no_grad():
        classifier.centres.copy_(classifier.centres.grad)
    return {
        "margin": verdict.margin.detach(),
        "rejection": verdict.rejection.detach(),
        "right": verdict.right,
        "surest": verdict.surest,
        "features": features.grad,
        "centres": classifier.all_centres(),
        **{f"margin.{name}": value for name, value in margin.state_dict().items()},
    }


def one_of_two(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    features, _ = problem()
    part = slice(0, ROWS // 2) if rank == 0 else slice(ROWS // 2, ROWS)
    results = {case: run(case, features[part], LABELS[part]) for case in CASES}
    results["sampled"] = sampled(features[part], LABELS[part])
    torch.save(results, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


def sampled(features: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
    _, centres = problem()
    classifier = Classifier(CLASSES, DIMENSION, margin=Margin(), scale=8.0, share=0.5).double()
    classifier.load_centres(centres)
    features = features.clone().requires_grad_()
    generator = torch.Generator().manual_seed(classifier.rank)
    verdict = classifier(features, labels, Rejection("kl"), generator)
    (verdict.margin + verdict.rejection).backward()
    assert classifier.centres.grad is not None
    used = classifier.centres.grad.abs().sum(1) > 0
    with torch.no_grad():
        classifier.centres.copy_(used[:, None].expand_as(classifier.centres))
    return {
        "margin": verdict.margin.detach(),
        "rejection": verdict.rejection.detach(),
        "used": classifier.all_centres()[:, 0] > 0,
    }


@pytest.fixture(scope="module")
def two():
    """The results of two processes that share the centres."""
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(one_of_two, (folder,), nprocs=2)
        yield [torch.load(Path(folder) / f"{rank}.pt") for rank in range(2)]


@pytest.mark.skipif(sys.platform == "win32", reason="gloo meets in a file of a POSIX system")
@pytest.mark.parametrize("case", CASES)
def test_two_processes_are_one(two, case):
    alone = run(case, problem()[0], LABELS)
    features = torch.cat([two[rank][case]["features"] for rank in range(2)])
    torch.testing.assert_close(features, alone["features"], rtol=1e-11, atol=1e-12)
    for rank in range(2):
        for name in alone.keys() - {"features"}:
            torch.testing.assert_close(two[rank][case][name], alone[name], rtol=1e-11, atol=1e-12)


def test_two_processes_agree_on_sampled_centres(two):
    for name in ("margin", "rejection", "used"):
        assert torch.equal(two[0]["sampled"][name], two[1]["sampled"][name])
    used = two[0]["sampled"]["used"]
    assert used[LABELS[LABELS >= 0]].all()
    assert 0 < int(used.sum()) < CLASSES


@pytest.mark.parametrize("case", CASES)
def test_one_process_is_the_textbook(case):
    margin, rejection, _ = copy.deepcopy(CASES[case])
    features, centres = problem()
    features.requires_grad_()
    result = run(case, features.detach(), LABELS)
    cosines = F.normalize(features) @ F.normalize(centres).T
    known = LABELS >= 0
    logits = cosines[known].clone()
    rows = torch.arange(int(known.sum()))
    lengths = features.detach().norm(dim=1)[known]
    margin.observe(lengths)
    logits[rows, LABELS[known]] = margin(logits[rows, LABELS[known]], lengths)
    loss = F.cross_entropy(8 * logits, LABELS[known])
    torch.testing.assert_close(result["margin"], loss.detach())
    strangers = 8 * cosines[~known]
    if rejection is not None:
        part = strangers.topk(min(rejection.top or CLASSES, CLASSES), 1).values
        rejected = uir_terms(part, rejection.form).mean()
        torch.testing.assert_close(result["rejection"], rejected.detach())
        loss = loss + 0.7 * rejected
    (gradient,) = torch.autograd.grad(loss, features)
    torch.testing.assert_close(result["features"], gradient, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(result["surest"], strangers.detach().softmax(1).amax(1))
    assert float(result["right"]) == float(
        (cosines[known].argmax(1) == LABELS[known]).double().mean()
    )


def test_only_some_centres_a_step_but_always_the_right_ones():
    features, centres = problem()
    classifier = Classifier(CLASSES, DIMENSION, margin=Margin(), scale=8.0, share=0.2).double()
    classifier.load_centres(centres)
    seen = set()
    for seed in range(20):
        classifier.centres.grad = None
        generator = torch.Generator().manual_seed(seed)
        verdict = classifier(features[:2], LABELS[:2], None, generator)
        verdict.margin.backward()
        assert classifier.centres.grad is not None
        used = classifier.centres.grad.abs().sum(1).nonzero()[:, 0].tolist()
        assert len(used) == 2  # both of them are right for a face
        assert set(used) == {0, 10}
        verdict = classifier(features[:1], LABELS[:1], None, generator)
        own, columns = classifier._columns(LABELS[:1], generator)
        assert len(own) == 2
        assert torch.equal(own[columns], centres[:1])
        seen |= {int((centres == row).all(1).nonzero()) for row in own}
    assert len(seen) > 6


def test_a_batch_of_one_kind_only():
    features, _ = problem()
    classifier = Classifier(CLASSES, DIMENSION, margin=ArcFace()).double()
    strangers = classifier(features, torch.full((ROWS,), UNLABELLED), Rejection())
    assert float(strangers.margin.detach()) == 0
    assert strangers.surest.shape == (ROWS,)
    known = classifier(features, LABELS.clamp_min(0), Rejection())
    assert float(known.rejection.detach()) == 0
    assert known.surest.shape == (0,)
    (strangers.margin + known.rejection).backward()


@pytest.mark.parametrize("form", FORMS)
def test_rejection_moves_strangers_from_the_centres(form):
    torch.manual_seed(0)
    classifier = Classifier(20, 16, margin=Margin(), scale=16.0)
    classifier.load_centres(torch.randn(20, 16))
    features = torch.randn(8, 16, requires_grad=True)
    labels = torch.full((8,), UNLABELLED)
    optimiser = torch.optim.SGD([features], lr=0.5)
    surest = []
    for _ in range(30):
        optimiser.zero_grad()
        verdict = classifier(features, labels, Rejection(form))
        (verdict.rejection / (20 if form == "paper" else 1)).backward()
        optimiser.step()
        surest.append(float(verdict.surest.mean()))
    assert surest[-1] < surest[0] - 0.05


def test_reduced_precision_stops_at_the_features():
    torch.manual_seed(0)
    classifier = Classifier(CLASSES, DIMENSION, margin=ArcFace())
    features = torch.randn(ROWS, DIMENSION)
    plain = classifier(features, LABELS, Rejection())
    with torch.autocast("cpu", torch.bfloat16):
        cast = classifier(features, LABELS, Rejection())
    assert torch.equal(plain.margin, cast.margin)
    assert torch.equal(plain.rejection, cast.rejection)
    assert math.isfinite(float(plain.margin.detach()))


def test_settings_that_make_no_sense():
    with pytest.raises(InputError, match="0 people"):
        Classifier(0, 4, margin=Margin())
    with pytest.raises(InputError, match="share"):
        Classifier(5, 4, margin=Margin(), share=0)
