import torch

from tests.tiny_models import WIDTH, images
from vlrouting.bottleneck.cross_attention import CrossAttention


def test_it_is_the_formula_with_the_text_added() -> None:
    torch.manual_seed(1)
    layer = CrossAttention(WIDTH)
    text, image = torch.randn(3, 4, WIDTH), images(visual_tokens=5)
    with torch.no_grad():
        query, key, value = layer.query(text), layer.key(image), layer.value(image)
        weights = (query @ key.transpose(1, 2) / WIDTH**0.5).softmax(dim=-1)  # (B, T, V)
        torch.testing.assert_close(layer(text, image), text + layer.out(weights @ value))


def test_with_one_visual_token_the_update_still_depends_on_the_text() -> None:
    """The softmax over one token is 1 whatever the text says: only the sum with the text is left."""
    layer = CrossAttention(WIDTH)
    text = torch.randn(3, 4, WIDTH)
    with torch.no_grad():
        routed = layer(text, images(visual_tokens=1))
    torch.testing.assert_close(routed[:, 0] - routed[:, 1], text[:, 0] - text[:, 1])
