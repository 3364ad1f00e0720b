"""What a network has learned: feature maps, exemplars, and images that maximize activations."""
