import functools

import pytest
import torch
from sklearn.metrics import roc_auc_score

from arena.core.errors import ArenaError, DoesNotApply
from arena.detectors.techniques.colour import Colour
from arena.detectors.techniques.dct import Dct
from arena.detectors.techniques.oneclass import FeatureTechnique, Method, OneClass
from arena.detectors.techniques.spectrum import Spectrum
from tests.detectors.planted import Examples, build_fitted, digits, fit, logits, sample

SPECTRUM = functools.partial(Spectrum, epsilon=1e-3)


def oneclass(method: Method = "mahalanobis", of: FeatureTechnique = SPECTRUM) -> OneClass:
    return OneClass(resolution=8, channels=1, levels=17, of=of, method=method)


def test_its_features_artefact_and_gradient_are_those_of_the_technique_it_uses():
    images = torch.rand(3, 1, 8, 8) * 2 - 1
    assert torch.equal(oneclass().features(images), build_fitted("spectrum").features(images))
    assert oneclass().artefact == build_fitted("spectrum").artefact
    assert oneclass().differentiable
    assert oneclass("svm").differentiable
    assert not oneclass("forest").differentiable
    assert not build_fitted("oneclass").differentiable


def test_the_others_head_is_no_part_of_it():
    assert all(name.startswith("head.") for name in oneclass().state_dict())
    assert all(name.startswith("head.") for name in build_fitted("oneclass").state_dict())


def forest(*, resolution, channels, levels):
    return build_fitted("forest", resolution, channels, levels)


@pytest.mark.parametrize("method", ["mahalanobis", "svm", "forest"])
def test_every_method_detects_unseen_fakes(method):
    learned, validation, test = digits("oneclass")
    detector = oneclass(method, of=forest)
    fit(detector, learned, validation)
    assert roc_auc_score(test.labels, logits(detector, test)) > 0.9


def test_it_needs_no_fakes_and_fakes_change_nothing():
    learned, validation, test = digits("oneclass")
    alone, both = build_fitted("oneclass"), build_fitted("oneclass")
    assert not alone.needs_fakes
    fit(alone, learned, validation)
    both.fit(sample(both, learned), sample(both, validation), seed=0)
    torch.testing.assert_close(logits(alone, test), logits(both, test))
    few = Examples(test.images[:5], test.labels[:5])
    assert logits(alone, few).isfinite().all()


def test_it_applies_where_the_other_technique_does():
    with pytest.raises(DoesNotApply, match="needs three channels"):
        oneclass(of=functools.partial(Colour, thresholds=[0.0]))


def test_a_technique_without_features_or_not_fully_described_is_refused():
    learned = functools.partial(Dct, epsilon=1e-3)
    with pytest.raises(ArenaError, match=r"^of=Dct: expected a technique of features under a head"):
        oneclass(of=learned)  # type: ignore[arg-type]  # what a config may hold
    with pytest.raises(ArenaError, match=r"^of\._target_: cannot be built \(.*epsilon"):
        oneclass(of=Spectrum)  # type: ignore[arg-type]
