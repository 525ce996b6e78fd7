"""What a processor gives a model: transformers' `BatchFeature`, as far as videos have use for it."""

from typing import Any


class BatchFeature(dict[str, Any]):
    """The processor's result: a dict whose keys are attributes too, and whose tensors move with `.to(device or dtype)`."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error

    @property
    def data(self) -> "BatchFeature":
        """The dict, as that of transformers has it: this one is it."""
        return self

    def to(self, *args: Any, **options: Any) -> "BatchFeature":
        """Call `.to(...)` on every tensor, as `torch.Tensor.to`; those of whole numbers move and keep their dtype.

        Returns:
            This same batch, changed, as that of transformers is: not everybody takes what is returned.
        """
        import torch

        def moved(value: Any) -> Any:
            if isinstance(value, list | tuple):
                return type(value)(map(moved, value))
            if not isinstance(value, torch.Tensor):
                return value
            if value.is_floating_point():
                return value.to(*args, **options)
            device = torch.empty(0, device=value.device).to(*args, **options).device
            return value.to(device, non_blocking=options.get("non_blocking", False))

        self.update({name: moved(value) for name, value in self.items()})
        return self
