"""What PyTorch's tools, and other libraries', do with a model: copy, compile, export and train it."""

import copy
import io
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend

import vivit
from tests import oracle
from tests.shorter import some
from vivit.attention import ATTENTION
from vivit.names import BACKENDS, PRECISIONS, TF32

HERE = [name for name, backend in BACKENDS.items() if not backend.cuda_only]
WITH_GRADIENTS = [name for name in HERE if name != "flex_attention"]  # on a CPU


def made(attention: str = "sdpa", **changes: Any) -> vivit.VivitForVideoClassification:
    config = vivit.VivitConfig(**oracle.TINY | changes)
    model = vivit.VivitForVideoClassification(config, attn_implementation=attention)
    oracle.randomise(model)
    return model.eval()


def _saved(model: nn.Module) -> Any:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "torch.save": _saved,
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("attention", ATTENTION)
def test_a_model_can_be_copied_with_every_backend(attention: str, how: str) -> None:
    model = made(attention)
    again = COPIES[how](model)
    assert again.attn_implementation == attention
    assert again.config == model.config and again.config is not model.config
    for (name, mine), copied in zip(model.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(mine, copied) and mine.data_ptr() != copied.data_ptr(), name
    with pytest.raises(ValueError, match="of a model's config cannot be set"):
        again.config.hidden_size = 70
    again.set_attn_implementation("eager")
    assert model.attn_implementation == attention, "a copy has layers of its own"
    if attention in HERE:
        pixel_values = oracle.clip(model.config)
        with torch.no_grad():
            torch.testing.assert_close(again(pixel_values).logits, model(pixel_values).logits, **oracle.EXACT)


CALLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "everything": {"labels": torch.tensor([2, 5]), "output_hidden_states": True},
    "tuple": {"return_dict": False},
    "longer": {"interpolate_pos_encoding": True},
}


@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.parametrize("call", some(CALLS, "plain"))
@pytest.mark.parametrize("attention", some(HERE, "eager", "sdpa"))
def test_it_compiles_to_one_graph(attention: str, call: str) -> None:
    """AOT's backend takes the graph as Inductor does, and needs no C++ compiler to run it."""
    model = made(attention, num_frames=4 if call == "longer" else 8)
    compiled, count = _counted(model)
    pixel_values = oracle.clip(made().config)
    with torch.inference_mode():
        found, wanted = compiled(pixel_values, **CALLS[call]), model(pixel_values, **CALLS[call])
    assert count.frame_count == 1
    assert type(found) is type(wanted)
    for mine, plain in zip(found if call == "tuple" else found.to_tuple(), wanted[:], strict=True):
        torch.testing.assert_close(mine, plain, **oracle.EXACT)


def _counted(model: nn.Module, backend: str = "aot_eager") -> tuple[Any, CompileCounterWithBackend]:
    count = CompileCounterWithBackend(backend)
    return torch.compile(model, fullgraph=True, backend=count), count


@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.parametrize("attention", some(WITH_GRADIENTS, "sdpa"))
@pytest.mark.parametrize("training", some([False, True], True))
def test_gradients_of_what_is_compiled(attention: str, training: bool) -> None:
    model = made(attention).train(training)
    compiled, count = _counted(model)
    pixel_values, labels = oracle.clip(model.config), torch.tensor([2, 5])
    compiled(pixel_values, labels).loss.backward()
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    model.zero_grad()
    model(pixel_values, labels).loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and found[name] is not None
        torch.testing.assert_close(found[name], parameter.grad, **oracle.EXACT, msg=oracle.said_of(name))
    assert count.frame_count == 1


@pytest.mark.full
@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.parametrize("precision", [name for name in PRECISIONS if name != TF32])  # which is a GPU's
def test_every_precision_compiles_to_one_graph(tmp_path: Path, precision: str) -> None:
    made().save_pretrained(tmp_path)
    model = vivit.VivitForVideoClassification.from_pretrained(tmp_path, dtype=precision)
    compiled, count = _counted(model)
    pixel_values = oracle.clip(model.config)
    with torch.inference_mode():
        found, wanted = compiled(pixel_values).logits, model(pixel_values).logits
    assert count.frame_count == 1 and found.dtype == wanted.dtype
    # The graph's operators are those of the plain model, one by one; float32's linear is another product.
    torch.testing.assert_close(found, wanted, **oracle.EXACT)


@pytest.mark.full
@pytest.mark.usefixtures("fresh_compiler")
def test_other_numbers_of_clips_are_the_same_graph() -> None:
    compiled, count = _counted(made())
    for batch in (2, 3, 5, 8):
        pixel_values = oracle.clip(made().config, batch=batch)
        torch._dynamo.mark_dynamic(pixel_values, 0)
        assert len(compiled(pixel_values).logits) == batch
    assert count.frame_count == 1


@pytest.mark.usefixtures("fresh_compiler")
def test_a_backend_that_is_not_here_says_so_compiled_too() -> None:
    with pytest.raises(RuntimeError, match="No viable backend"):
        torch.compile(made("sdpa-cudnn"), fullgraph=True, backend="aot_eager")(oracle.clip(made().config))


WITHOUT_COMPILER = """
from tests import oracle
from vivit import VivitConfig, VivitForVideoClassification
from vivit.errors import UserError
model = VivitForVideoClassification(VivitConfig(**oracle.TINY)).eval()
try:
    model.compile()
except UserError as error:
    print(error)
model.compile(backend="aot_eager", fullgraph=True)
print(model(oracle.clip(model.config)).logits.shape)
"""


@pytest.mark.full
def test_without_a_c_compiler_it_says_what_to_do(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "CXX"} | {"PATH": str(tmp_path)}
    said = subprocess.run(
        [sys.executable, "-c", WITHOUT_COMPILER],
        env=environment | {"PYTHONPATH": "."},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert said.returncode == 0, said.stderr
    sentence, shape = said.stdout.splitlines()
    assert "wants the C++ compiler" in sentence and "Install it" in sentence
    assert shape == "torch.Size([2, 7])"


@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.parametrize("attention", some(HERE, "flex_attention"))
def test_inductor_makes_one_graph_of_it(attention: str) -> None:
    model = made(attention)
    compiled, count = _counted(model, "inductor")
    pixel_values = oracle.clip(model.config)
    with torch.inference_mode():
        torch.testing.assert_close(compiled(pixel_values).logits, model(pixel_values).logits, **oracle.EXACT)
    assert count.frame_count == 1


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning", "ignore:.*:FutureWarning")
@pytest.mark.parametrize("dynamo", some([True, False], False))
@pytest.mark.parametrize("attention", HERE[:3])
def test_onnx_runtime_gives_the_same_logits(tmp_path: Path, attention: str, dynamo: bool) -> None:
    """By both of PyTorch's exporters, and of another number of clips than the model was exported with."""
    import onnxruntime

    model = made(attention)
    file = tmp_path / "model.onnx"
    names: dict[str, Any] = {"input_names": ["pixel_values"], "output_names": ["logits"]}
    shapes: dict[str, Any] = (
        {"dynamic_shapes": {"pixel_values": {0: torch.export.Dim("clips", min=1, max=64)}}}
        if dynamo
        else {"dynamic_axes": {"pixel_values": {0: "clips"}}}
    )
    torch.onnx.export(model, (oracle.clip(model.config),), str(file), dynamo=dynamo, **names, **shapes)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for batch in (2, 5):
        pixel_values = oracle.clip(model.config, batch=batch, seed=batch)
        (logits,) = session.run(["logits"], {"pixel_values": pixel_values.numpy()})
        with torch.no_grad():
            torch.testing.assert_close(torch.from_numpy(logits), model(pixel_values).logits, **oracle.EXACT)


class Clips(torch.utils.data.Dataset[dict[str, Tensor]]):
    """Random clips, each with a label."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        clip = oracle.clip(vivit.VivitConfig(**oracle.TINY), batch=1, seed=index)[0]
        return {"pixel_values": clip, "labels": torch.tensor(index % 7)}


@pytest.mark.full
@pytest.mark.parametrize("gradient_checkpointing", [False, True])
def test_transformers_trainer_does_with_ours_as_with_its_own(tmp_path: Path, gradient_checkpointing: bool) -> None:
    theirs = oracle.save(tmp_path / "start")
    ours = vivit.VivitForVideoClassification.from_pretrained(tmp_path / "start")
    logs, answers = [], []
    for name, model in (("ours", ours), ("theirs", theirs)):
        options = transformers.TrainingArguments(
            output_dir=str(tmp_path / name),
            max_steps=3,
            per_device_train_batch_size=2,
            learning_rate=1e-3,
            gradient_checkpointing=gradient_checkpointing,
            logging_steps=1,
            eval_strategy="steps",
            eval_steps=3,
            save_steps=3,
            use_cpu=True,
            disable_tqdm=True,
            report_to=[],
        )
        trainer = transformers.Trainer(model, options, train_dataset=Clips(), eval_dataset=Clips())
        assert trainer.train().global_step == 3
        logs.append(
            [entry[key] for entry in trainer.state.log_history for key in ("loss", "eval_loss") if key in entry]
        )
        answers.append(trainer.predict(Clips()).predictions)
        assert model.is_gradient_checkpointing == gradient_checkpointing
    assert len(logs[0]) == 4
    assert logs[0] == pytest.approx(logs[1], rel=1e-4)  # three of Adam's steps make more of what float32 rounds
    torch.testing.assert_close(*map(torch.from_numpy, answers), rtol=1e-3, atol=1e-3)
    ours.save_pretrained(tmp_path / "trained")
    again = transformers.VivitForVideoClassification.from_pretrained(tmp_path / "trained").eval()
    pixel_values = oracle.clip(ours.config)
    torch.testing.assert_close(again(pixel_values).logits, ours.eval()(pixel_values).logits, **oracle.EXACT)
