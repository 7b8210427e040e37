"""Layer 6: settings that are known to work, as models ready to fit."""

from dropfast.recipes.base import Recipe
from dropfast.recipes.fashion import FashionRecipe, fashion_mnist, principal_directions
from dropfast.recipes.practical import practical_guide

__all__ = ["FashionRecipe", "Recipe", "fashion_mnist", "practical_guide", "principal_directions"]
