from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgecnn.core.labels import labels_of

OPERATIONS = ("CONV_2D", "RELU", "ADD", "RESHAPE")


def test_a_fused_operation_is_called_by_the_layer_with_the_weights() -> None:
    name = "network_1/stem_relu_1/Relu6;network_1/stem_conv_1/convolution"
    assert labels_of({name: "CONV_2D"}) == {name: "stem"}


def test_an_activation_is_called_by_its_own_name() -> None:
    name = "network_1/block3_hard_silu_1/mul;network_1/block3_hard_silu_1/Relu6"
    assert labels_of({name: "HARD_SWISH"}) == {name: "block3_hard_silu"}


def test_what_only_moves_values_leaves_the_name_to_what_computes() -> None:
    found = labels_of({"net/logits_1/MatMul": "CONV_2D", "net/logits_1/Reshape": "RESHAPE"})
    assert list(found.values()) == ["logits", "logits reshape"]


def test_two_calls_of_a_layer_are_told_apart() -> None:
    names = {"net/twice_1/convolution": "CONV_2D", "net/twice_2/convolution": "CONV_2D"}
    assert sorted(labels_of(names).values()) == ["twice", "twice 2"]


@given(st.dictionaries(st.text(max_size=30), st.sampled_from(OPERATIONS), max_size=8))
def test_every_operation_has_a_label_of_its_own(names: dict[str, str]) -> None:
    found = labels_of(names)
    assert found.keys() == names.keys()
    assert len(set(found.values())) == len(names)
