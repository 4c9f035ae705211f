"""Vision-language models put together from frozen backbones, bottlenecks and a head."""
