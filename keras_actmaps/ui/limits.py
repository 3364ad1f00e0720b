"""The bounds on what one visitor, and all of them together, may use."""

UPLOAD_MB = 10  # of an uploaded file
PIXELS = 25_000_000  # of an uploaded image, before it is decoded
SIDE = 512  # of an image for a model that takes any size
MODEL_MB = 2_000  # of a model file
MODELS = 3  # in memory, of all visitors
GALLERY = 240  # images of a data set
THUMBNAILS = 24  # shown at a time
UPLOADS = 6  # that are kept for a visitor
METHODS = 6  # side by side
RESULTS = 24  # maps that are kept for a visitor
WAITING = 16  # computations in the queue
WORKERS = 2  # computations at a time
SECONDS = 300  # of one computation
WANTED = 40  # seconds after which a computation is stopped if its page no longer asks for it
