"""The command train: from its options to a run folder."""

from keras_actmaps import data
from keras_actmaps.cli.options import TrainOptions
from keras_actmaps.training.train import train


def run(options: TrainOptions) -> None:
    """Run the command train; ValueError, OSError or ImportError for errors that the user can correct."""
    callbacks = None
    if options.explain:
        from keras_actmaps.callbacks import explain_callback  # imports methods, metrics and pictures

        callbacks = explain_callback.of_run(options.explain)
    dataset = options.dataset
    if dataset is None:
        dataset, reason = data.default(options.data_dir)
        print(reason)
    train(
        dataset,
        backbone=options.backbone,
        weights=options.weights,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        limit=options.limit,
        data_dir=options.data_dir,
        seed=options.seed,
        runs=options.runs,
        resume=options.resume,
        callbacks=callbacks,
    )
