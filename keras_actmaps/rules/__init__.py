"""What a layer hands back when a score is traced to the image: guided, deconvnet, LRP rules and composites.

- `kinds`: what a step of the graph does, in seven words;
- `linear`: layers with a kernel as functions of it, batch normalisation folded in;
- `backward`: the gradients of ReLU that guided backpropagation and deconvnet replace;
- `relevance`: the rules of layer-wise relevance propagation, its composites and the walk back.
"""
