/* The table of the job file's keys. A digest covers the keys that are not at their default, in this order: a
 * default never changes, new keys go to the end of their section, and nothing is reordered, or studies made
 * before no longer match their jobs. */
#include "base/job.h"

#include <math.h>
#include <string.h>

#define SECTION(path_, fallback_, ...)                                                                       \
    {                                                                                                        \
        .path = path_, .type = LO_KEY_SECTION, .fallback = fallback_, __VA_ARGS__                            \
    }
#define NUMBER(type_, path_, fallback_, low_, high_, unit_, group_, ...)                                     \
    {                                                                                                        \
        .path = path_, .type = type_, .fallback = fallback_, .low = low_, .high = high_, .unit = unit_,      \
        .group = group_, __VA_ARGS__                                                                         \
    }
#define INT(...)  NUMBER(LO_KEY_INT, __VA_ARGS__)
#define REAL(...) NUMBER(LO_KEY_REAL, __VA_ARGS__)
#define OTHER(type_, path_, fallback_, group_, ...)                                                          \
    {                                                                                                        \
        .path = path_, .type = type_, .fallback = fallback_, .unit = "", .group = group_, __VA_ARGS__        \
    }
#define CHOICE(path_, fallback_, choices_, group_, ...)                                                      \
    OTHER(LO_KEY_CHOICE, path_, fallback_, group_, .choices = choices_, __VA_ARGS__)

/* Required, there with its defaults, not there unless given: see lo_key. */
#define REQUIRED NULL
#define DEFAULTS "{}"
#define OPTIONAL ""

static const lo_key table[] = {
    INT("seed", "1", 0, INFINITY, "", LO_KEYS_DATA,
        .help = "Seed of every random number: samples, noise, masks, weights, orders."),
    CHOICE("reproducible", "record", "record strict", LO_KEYS_NONE,
           .help = "When a study goes on with another type of processor: record notes it and warns, strict "
                   "refuses."),
    CHOICE("isa", "auto", "auto portable avx2 avx512 amx", LO_KEYS_RECIPE,
           .help = "Instruction set of the kernels; auto takes the best one that every rank has."),

    SECTION("data", REQUIRED, .help = "The data set: what to read and which part of it to use."),
    CHOICE("data.format", REQUIRED, "idx image_folder cifar10 cifar100 npy hdf5 csv svmlight", LO_KEYS_DATA,
           .help = "How the source files are written: docs/data.md has each; idx is that of MNIST and "
                   "Fashion-MNIST, gzipped or not."),
    OTHER(LO_KEY_TEXT, "data.path", REQUIRED, LO_KEYS_DATA,
          .help = "Directory (or file) that holds the data."),
    INT("data.train_limit", "0", 0, INFINITY, "examples", LO_KEYS_DATA,
        .help = "Use this many training examples, a seeded sample with the classes in proportion; 0: all."),
    INT("data.test_limit", "0", 0, INFINITY, "examples", LO_KEYS_DATA,
        .help = "Use this many test examples, sampled likewise; 0: all."),
    REAL("data.validation", "0", 0, 1, "share", LO_KEYS_DATA, .open_high = true,
         .help = "Share of the training examples held back from training, the classes in proportion."),
    REAL(
        "data.label_noise", "0", 0, 1, "share", LO_KEYS_DATA, .open_high = true,
        .help =
            "Share of the training labels replaced by another class; the true ones are kept for evaluation."),
    OTHER(LO_KEY_TEXTS, "data.class_names", "[]", LO_KEYS_NONE,
          .help = "Names of the classes 0, 1, ... for the report; empty: those that the data have, or their "
                  "numbers."),
    NUMBER(LO_KEY_INTS, "data.resize", "[]", 1, 16384, "pixels", LO_KEYS_DATA, .least = 0, .most = 2,
           .only = "data.format image_folder",
           .help = "Scale every image to this height and width; empty: all must have one size."),
    INT("data.max_unreadable", "0", 0, INFINITY, "images", LO_KEYS_DATA, .only = "data.format image_folder",
        .help = "Leave out up to this many images that cannot be read; more are refused. The others keep "
                "their numbers."),
    OTHER(LO_KEY_BOOL, "data.standardize", "true", LO_KEYS_DATA,
          .help = "Each channel or feature has mean 0 and standard deviation 1 over the training examples; "
                  "false: features as they are, pixels divided by 255."),
    CHOICE("data.labels", "fine", "fine coarse", LO_KEYS_DATA, .only = "data.format cifar100",
           .help = "Which labels are trained on; both are kept."),
    CHOICE("data.layout", "auto", "auto nchw nhwc", LO_KEYS_DATA, .only = "data.format npy hdf5",
           .help = "Where the channels are in arrays of four dimensions; auto: where there are 1 or 3."),
    CHOICE("data.header", "auto", "auto present absent", LO_KEYS_DATA, .only = "data.format csv",
           .help = "Do the first lines name the columns? auto: if a feature there is no number."),
    OTHER(LO_KEY_TEXT, "data.label_column", "last", LO_KEYS_DATA, .only = "data.format csv",
          .help = "The column that is the label: its name in the header, its number from 1, or last."),
    INT("data.first_index", "1", 0, 1, "", LO_KEYS_DATA, .only = "data.format svmlight",
        .help = "What the first feature is numbered."),

    SECTION("model", REQUIRED, .help = "The network that is trained."),
    CHOICE("model.preset", REQUIRED, "linear mlp cnn resnet9 resnet18 resnet50 vgg16_bn vit layers",
           LO_KEYS_RECIPE, .help = "Which network (see leaveout methods)."),
    NUMBER(LO_KEY_INTS, "model.hidden", "[512]", 1, 65536, "units", LO_KEYS_RECIPE, .least = 1, .most = 16,
           .only = "model.preset mlp", .help = "Width of each hidden layer."),
    INT("model.width", "32", 1, 4096, "channels", LO_KEYS_RECIPE,
        .only = "model.preset cnn resnet9 resnet18 resnet50 vgg16_bn vit",
        .fallbacks = "resnet9 64 resnet18 64 resnet50 64 vgg16_bn 64 vit 192",
        .help =
            "Channels of the first convolution, of which the others are multiples; by default 32 for cnn, 64 "
            "for resnet9, resnet18, resnet50 and vgg16_bn. vit: values of a token, 192."),
    INT("model.depth", "6", 1, 1024, "blocks", LO_KEYS_RECIPE, .only = "model.preset vit",
        .help = "Blocks of attention."),
    INT("model.heads", "3", 1, 1024, "heads", LO_KEYS_RECIPE, .only = "model.preset vit",
        .help = "Heads of each attention; they divide the width."),
    INT("model.patch", "4", 1, 1024, "pixels", LO_KEYS_RECIPE, .only = "model.preset vit",
        .help = "Side of the patches that become tokens; they fill the image."),
    OTHER(LO_KEY_LAYERS, "model.layers", REQUIRED, LO_KEYS_RECIPE, .only = "model.preset layers",
          .help = "The network, layer by layer (see below)."),

    SECTION("train", DEFAULTS, .help = "The recipe: how every model is trained."),
    INT("train.epochs", "10", 1, 100000, "epochs", LO_KEYS_RECIPE,
        .help = "Passes over a model's training examples. Memorization shows only where the recipe fits what "
                "it was given."),
    INT("train.batch", "128", 1, 65536, "examples", LO_KEYS_RECIPE,
        .help = "Examples in a step of the optimizer."),
    SECTION("train.optimizer", DEFAULTS, .help = "How a step changes the weights."),
    CHOICE("train.optimizer.name", "sgd", "sgd adamw", LO_KEYS_RECIPE,
           .help = "sgd: stochastic gradient descent with momentum, as torch.optim.SGD; adamw: as "
                   "torch.optim.AdamW."),
    REAL("train.optimizer.lr", "0.05", 0, INFINITY, "", LO_KEYS_RECIPE, .open_low = true,
         .help = "Learning rate: the largest one, of which the schedule takes shares."),
    REAL("train.optimizer.momentum", "0.9", 0, 1, "", LO_KEYS_RECIPE, .open_high = true,
         .only = "train.optimizer.name sgd",
         .help = "Share of the last step's direction that is kept; 0: none."),
    REAL("train.optimizer.weight_decay", "5.0e-4", 0, INFINITY, "", LO_KEYS_RECIPE,
         .help = "sgd adds this times the weights to the gradient; adamw multiplies the weights by 1 - lr "
                 "times this before each step; 0: none."),
    OTHER(LO_KEY_BOOL, "train.optimizer.nesterov", "false", LO_KEYS_RECIPE,
          .only = "train.optimizer.name sgd",
          .help = "Nesterov's momentum: the step looks ahead by one more share of the direction."),
    REAL("train.optimizer.beta1", "0.9", 0, 1, "", LO_KEYS_RECIPE, .open_high = true,
         .only = "train.optimizer.name adamw",
         .help = "Share that a step keeps of the running mean of the gradients."),
    REAL("train.optimizer.beta2", "0.999", 0, 1, "", LO_KEYS_RECIPE, .open_high = true,
         .only = "train.optimizer.name adamw",
         .help = "Share that a step keeps of the running mean of the squared gradients."),
    REAL("train.optimizer.epsilon", "1.0e-8", 1e-30, 1, "", LO_KEYS_RECIPE,
         .only = "train.optimizer.name adamw",
         .help = "Added to the root of the running mean of squares, by which a step divides."),
    SECTION("train.schedule", DEFAULTS, .help = "How the learning rate changes during a training."),
    CHOICE("train.schedule.name", "cosine", "constant cosine step one_cycle", LO_KEYS_RECIPE,
           .help = "cosine falls to 0 over all steps, constant stays, step falls at milestones, one_cycle "
                   "rises and falls."),
    REAL("train.schedule.warmup_epochs", "0", 0, 100000, "epochs", LO_KEYS_RECIPE,
         .help = "Before its schedule the learning rate rises linearly from 0 for this long; the schedule "
                 "has the rest of the steps."),
    NUMBER(LO_KEY_INTS, "train.schedule.milestones", REQUIRED, 1, 100000, "epochs", LO_KEYS_RECIPE,
           .least = 1, .most = 16, .only = "train.schedule.name step",
           .help = "After these epochs, counted from the end of the warm-up, the learning rate is "
                   "multiplied by gamma."),
    REAL("train.schedule.gamma", "0.1", 0, 1, "", LO_KEYS_RECIPE, .open_low = true,
         .only = "train.schedule.name step",
         .help = "What the learning rate is multiplied by at each milestone."),
    REAL("train.schedule.peak", "0.3", 0, 1, "share", LO_KEYS_RECIPE, .open_low = true, .open_high = true,
         .only = "train.schedule.name one_cycle",
         .help = "Share of the steps over which the learning rate rises, from lr / 25; then it falls to a "
                 "10000th of that."),
    CHOICE("train.precision", "auto", "auto f32 bf16", LO_KEYS_RECIPE,
           .help =
               "Arithmetic of the training: f32, or bf16, which rounds what is multiplied to bfloat16 and "
               "sums in float32; auto, resolved once, when the study is made: bf16 if that pays on "
               "every rank."),
    REAL("train.label_smoothing", "0", 0, 1, "share", LO_KEYS_RECIPE, .open_high = true,
         .help = "Share of the target that is spread evenly over all classes; 0: the label alone."),
    REAL("train.clip_norm", "0", 0, INFINITY, "", LO_KEYS_RECIPE,
         .help = "Gradients whose norm, over all parameters, is larger are scaled down to it; 0: never."),
    OTHER(LO_KEY_TEXT, "train.from", "none", LO_KEYS_NONE,
          .help =
              "Start every training from the weights and running statistics of this safetensors file; none: "
              "from random ones."),
    OTHER(LO_KEY_TEXT, "train.from_digest", "none", LO_KEYS_RECIPE, .digest_of = "train.from",
          .help = "Digest of that file's content, by which a study knows it again: filled in when it is not "
                  "given."),
    OTHER(LO_KEY_NAMES, "train.augment", "[]", LO_KEYS_RECIPE, .choices = "flip alternating_flip crop cutout",
          .help = "What an epoch changes of each image: flip exchanges left and right by chance, "
                  "alternating_flip every other epoch; crop moves the window, beyond the edge the image is "
                  "reflected; cutout puts the mean into a square."),
    INT("train.crop", "4", 1, 1024, "pixels", LO_KEYS_RECIPE, .only = "train.augment crop",
        .help = "How far the window moves at most, each way."),
    INT("train.cutout", "8", 1, 1024, "pixels", LO_KEYS_RECIPE, .only = "train.augment cutout",
        .help = "The side of the square; it may pass the image's edge."),
    REAL("train.checkpoint_minutes", "10", 0, 100000, "minutes", LO_KEYS_NONE,
         .help =
             "Save a training that takes longer this often, so that a kill costs no more; 0: only when it is "
             "told to stop."),
    INT("train.slices", "1", 1, 256, "slices", LO_KEYS_RECIPE,
        .help =
            "Cut each batch into this many slices, a power of two, added in a fixed order: teams of ranks "
            "and threads that divide them give equal bits."),
    INT("train.team", "1", 1, 256, "ranks", LO_KEYS_NONE,
        .help = "Ranks that train one model together: they share the slices."),
    INT("train.threads", "1", 1, 256, "threads", LO_KEYS_NONE,
        .help = "Threads of a rank, which share its slices: team times threads divides the slices."),

    SECTION("ensemble", OPTIONAL,
            .help = "Stage: trains many models, each on a part of the training examples."),
    CHOICE("ensemble.design", "balanced",
           "random balanced complementary bernoulli leave_one_out leave_group_out imported", LO_KEYS_ENSEMBLE,
           .help =
               "Who trains on what: random subsets, subsets balanced in blocks of models, pairs of disjoint "
               "halves, each example by a draw of its own, all but one example, all but one group, or, "
               "made elsewhere, what leaveout import brings."),
    INT("ensemble.models", REQUIRED, 1, INFINITY, "models", LO_KEYS_ENSEMBLE, .grows = true,
        .only = "ensemble.design random balanced complementary bernoulli imported",
        .help = "How many models. A finished study can be given more: the models it has are kept."),
    REAL("ensemble.ratio", "0.7", 0, 1, "share", LO_KEYS_ENSEMBLE, .open_low = true, .open_high = true,
         .only = "ensemble.design random balanced bernoulli",
         .help = "Share of the training examples that a model is trained on."),
    NUMBER(LO_KEY_INTS_OR_FILE, "ensemble.examples", REQUIRED, 0, INFINITY, "", LO_KEYS_ENSEMBLE, .least = 1,
           .only = "ensemble.design leave_one_out",
           .help = "Which examples to leave out, by their numbers (from 0) in the source files."),
    INT("ensemble.seeds", "3", 1, INFINITY, "seeds", LO_KEYS_ENSEMBLE, .grows = true,
        .only = "ensemble.design leave_one_out leave_group_out",
        .help =
            "Trainings without each example or group, and with all of them. A finished study can be given "
            "more."),
    INT("ensemble.keep_models", "0", 0, INFINITY, "models", LO_KEYS_NONE,
        .help = "Keep the weights of the first so many models, as models/NUMBER.safetensors."),
    NUMBER(LO_KEY_INTS_OR_FILE, "ensemble.groups", REQUIRED, -1, INFINITY, "", LO_KEYS_ENSEMBLE, .least = 1,
           .only = "ensemble.design leave_group_out",
           .help = "The group of each training example of the source files in their order; -1: none. Each "
                   "group that is named is left out as a whole."),
    SECTION("ensemble.until", OPTIONAL, .only = "ensemble.design random balanced complementary bernoulli",
            .help = "Train no more models than the scores need: ensemble.models are the most."),
    REAL("ensemble.until.standard_error", "0.05", 0, 1, "", LO_KEYS_NONE, .open_low = true,
         .help = "Stop when the standard error of memorization is no larger."),
    CHOICE("ensemble.until.over", "mean", "mean median p90 largest", LO_KEYS_NONE,
           .help = "Which standard error over the training examples that is: their mean, the median, the one "
                   "that nine tenths do not exceed, or the largest."),
    INT("ensemble.until.first", "20", 1, INFINITY, "models", LO_KEYS_NONE,
        .help =
            "Look at so many models first, then whenever there are a quarter more; whole blocks and pairs "
            "of models."),

    OTHER(LO_KEY_ITEMS, "scores", "[]", LO_KEYS_SCORES, .grows = true,
          .help = "Stage: scores of the training examples, from the ensemble or the originals (see leaveout "
                  "methods, and below for their settings). A study can be given more."),

    SECTION("influence", OPTIONAL,
            .help = "Stage: influence of every training example on every test example, from the ensemble."),
    INT("influence.top", "0", 0, INFINITY, "examples", LO_KEYS_INFLUENCE,
        .help = "Keep the strongest training examples of each test example only, this many; 0: the whole "
                "matrix."),
    OTHER(LO_KEY_BOOL, "influence.errors", "true", LO_KEYS_INFLUENCE,
          .help = "Store the standard errors too; they take as much space as the values."),

    SECTION("originals", OPTIONAL,
            .help =
                "Stage: trains models on the whole training set, one for each seed, and keeps their weights "
                "and the log of their training."),
    INT("originals.seeds", "3", 1, 10000, "seeds", LO_KEYS_ORIGINALS, .grows = true,
        .help = "How many originals: the seeds 0, 1, ... A finished study can be given more."),
    NUMBER(LO_KEY_INTS, "originals.checkpoints", "[]", 1, 100000, "epochs", LO_KEYS_ORIGINALS, .most = 64,
           .help = "Keep the weights after these epochs too."),
    CHOICE("originals.log", "auto", "auto true false", LO_KEYS_ORIGINALS,
           .help =
               "Keep, for every epoch and training example, its loss, the probability of its label, the "
               "largest probability, the entropy, whether it was right, and the margin; auto: when a score "
               "asks for it."),

    SECTION("attribution", OPTIONAL,
            .help =
                "Stage: what each training example does to models that can be had without it, by formula or "
                "by a refit with a certificate. Needs no ensemble."),
    OTHER(LO_KEY_NAMES, "attribution.methods", "[certified_loo]", LO_KEYS_ATTRIBUTION,
          .choices = "ridge_loo kernel_ridge_loo alo certified_loo ggn hessian", .grows = true,
          .help = "Which methods: see leaveout methods."),
    CHOICE("attribution.targets", "test", "test train none", LO_KEYS_ATTRIBUTION,
           .help =
               "On which examples the effect of each training example is stored; on itself it always is."),
    INT("attribution.top", "0", 0, INFINITY, "examples", LO_KEYS_ATTRIBUTION,
        .help = "Keep the strongest training examples of each target only, this many; 0: the whole matrix."),
    CHOICE(
        "attribution.output", "margin", "margin probability correct", LO_KEYS_ATTRIBUTION,
        .help =
            "What is asked of a model about an example: its margin, the probability of its label, or whether "
            "it is right."),
    REAL(
        "attribution.penalty", "1.0e-3", 0, INFINITY, "", LO_KEYS_ATTRIBUTION,
        .help =
            "Half of this times the weights' squares is added to the mean loss; intercepts have no penalty."),
    REAL("attribution.tolerance", "1.0e-9", 1e-11, 1, "", LO_KEYS_ATTRIBUTION,
         .help = "certified_loo: the largest norm of the gradient that a refit may end with."),
    CHOICE("attribution.kernel", "rbf", "linear rbf", LO_KEYS_ATTRIBUTION,
           .help =
               "kernel_ridge_loo: the product of two inputs, or exp(-gamma times their squared distance)."),
    REAL("attribution.gamma", "0", 0, INFINITY, "", LO_KEYS_ATTRIBUTION,
         .help = "kernel_ridge_loo: gamma of the rbf kernel; 0: one over the number of features."),
    NUMBER(
        LO_KEY_INTS_OR_FILE, "attribution.groups", "[]", -1, INFINITY, "", LO_KEYS_ATTRIBUTION, .least = 0,
        .help =
            "Leave out whole groups too: the group, from 0, of each training example of the source files in "
            "their order; -1: none."),
    INT("attribution.memory", "0", 0, INFINITY, "MiB", LO_KEYS_NONE,
        .help = "Memory that a rank may take; 0: four fifths of its share of the node's."),
    REAL("attribution.damping", "0", 0, INFINITY, "", LO_KEYS_DAMPING,
         .help = "ggn, hessian: added to the curvature's diagonal; raised, and the file says to what, where "
                 "that is "
                 "not definite. May be changed in a study that has an attribution."),
    OTHER(
        LO_KEY_BOOL, "attribution.spectrum", "false", LO_KEYS_ATTRIBUTION,
        .help =
            "ggn, hessian: store the eigenvalues of the curvature too; they take longer than all the rest."),
    CHOICE(
        "attribution.model", "linear", "linear features network", LO_KEYS_ATTRIBUTION,
        .help =
            "Of what model: a linear one (or a kernel) of the scaled inputs, the same of the features that a "
            "layer of an original makes of them, or the original itself, which ggn and hessian treat."),
    INT("attribution.original", "0", 0, 9999, "", LO_KEYS_ATTRIBUTION,
        .only = "attribution.model features network", .help = "Which original, by its seed."),
    OTHER(LO_KEY_TEXT, "attribution.layer", "auto", LO_KEYS_ATTRIBUTION, .only = "attribution.model features",
          .help = "Whose output the features are: a layer's name; auto: what the last layer is given."),
    CHOICE(
        "attribution.form", "auto", "auto primal dual", LO_KEYS_ATTRIBUTION,
        .only = "attribution.model network",
        .help =
            "ggn: the matrix of the parameters, or that of the examples times their classes less one, which "
            "give the same values; auto: the smaller."),
    OTHER(LO_KEY_BOOL, "attribution.keep", "false", LO_KEYS_NONE,
          .help = "ggn, hessian: keep the gradients in the basis of the eigenvectors, in "
                  "curvature-METHOD.h5, so that "
                  "another damping takes no matrix; 8 bytes times its rows for each example and target."),

    SECTION("unlearning", OPTIONAL,
            .help = "Stage: makes originals forget chosen examples, by every method, and trains oracles that "
                    "never saw them. Needs the section originals."),
    OTHER(LO_KEY_ITEMS, "unlearning.forget", "[]", LO_KEYS_UNLEARNING, .grows = true,
          .help = "The forget sets: {name: NAME, select: random class subclass top middle bottom mix file "
                  "labels, ...}."),
    OTHER(LO_KEY_ITEMS, "unlearning.methods", "[]", LO_KEYS_UNLEARNING, .grows = true,
          .help =
              "What makes models forget (see leaveout methods), each by its name or with settings: {name: "
              "NAME, SETTING: VALUE, ...}."),
    OTHER(LO_KEY_TEXTS, "unlearning.sequence", "[]", LO_KEYS_UNLEARNING, .grows = true,
          .help = "Forget sets that are forgotten one after the other, each by the model that has forgotten "
                  "those before it."),
    INT("unlearning.oracles", "3", 0, 10000, "seeds", LO_KEYS_UNLEARNING, .grows = true,
        .help = "Models trained without each forget set. A finished study can be given more."),
    INT("unlearning.seeds", "3", 1, 10000, "seeds", LO_KEYS_UNLEARNING, .grows = true,
        .help = "Runs of each method on each forget set: that of seed s begins with original s. A finished "
                "study can be given more."),
    OTHER(LO_KEY_BOOL, "unlearning.retain", "true", LO_KEYS_NONE,
          .help = "false: the training examples that are to be kept are no longer there for methods, and one "
                  "that reads them is refused. Oracles and evaluation have them all the same."),
    OTHER(LO_KEY_BOOL, "unlearning.keep_models", "true", LO_KEYS_NONE,
          .help =
              "Keep the weights of oracles and of models that have forgotten; false: their outputs alone."),
    OTHER(LO_KEY_ITEMS, "unlearning.search", "[]", LO_KEYS_UNLEARNING, .grows = true,
          .help =
              "Settings to be tried: for methods of the job lists of values, {name: NAME, SETTING: [VALUE, "
              "...], ...}; all combinations, each a method of its own."),
    INT("unlearning.trials", "0", 0, 10000, "combinations", LO_KEYS_NONE,
        .help = "Try so many combinations for each method, by chance; 0: all. More are the same and more."),
    CHOICE("unlearning.criterion", "oracle_gap", "oracle_gap validation_loss", LO_KEYS_NONE,
           .help =
               "What the best settings are chosen by: the mean gap to the oracles' accuracies, or, without "
               "oracles, the gap between the losses on the forget set and on unseen examples."),
    OTHER(LO_KEY_BOOL, "unlearning.matched", "false", LO_KEYS_NONE,
          .help = "Each oracle also forgets, by every method listed, another set of the size and kind of the "
                  "forget set: what u_lira compares unlearned models with. oracles times methods more runs a "
                  "set; they need keep_models."),

    SECTION("audit", OPTIONAL,
            .help = "Stage: how far unlearned models are from ones that never saw the forget set, and how "
                    "well membership attacks tell what the ensemble's models were trained on."),
    OTHER(LO_KEY_NAMES, "audit.metrics", "[]", LO_KEYS_NONE,
          .choices = "accuracy tow tow_mia avg_gap aus disagreement activation_distance js mia_svc mia_loss "
                     "mia_entropy mia_population lira u_lira rmia klom forgetting_quality weight_distance "
                     "zrf relearn entanglement accuracy_delta",
          .grows = true, .help = "Which metrics (see leaveout methods); empty: all that the study can have."),
    INT("audit.sample", "2000", 2, 100000, "examples", LO_KEYS_NONE,
        .help =
            "mia_svc: fit to this many retain and as many test examples, at most; papers take 10000, which "
            "is 10 s of each model."),
    REAL("audit.rmia_a", "0.5", 0, 1, "", LO_KEYS_NONE,
         .help =
             "rmia of unlearned models: a of its offline form. privacy.h5 has the one that told best what a "
             "model of the ensemble was trained on (attribute a of /rmia)."),
    OTHER(LO_KEY_NAMES, "audit.mia_features", "[confidence]", LO_KEYS_NONE,
          .choices = "confidence correct entropy modified_entropy loss margin", .grows = true,
          .help = "mia_svc: which features, a machine each; papers report each of several. tow_mia and "
                  "avg_gap take the confidence."),

    SECTION("scaling", OPTIONAL,
            .help = "Stage: the study of scores: what each costs and how well it agrees with the ensemble's "
                    "memorization."),
    OTHER(LO_KEY_TEXTS, "scaling.scores", "[all]", LO_KEYS_NONE,
          .help = "Which scores, by their names in scores; all: every one."),
    NUMBER(LO_KEY_REALS, "scaling.budgets", "[1, 2, 4, 8, 16]", 0, INFINITY, "trainings", LO_KEYS_NONE,
           .open_low = true,
           .help = "Say what is best for these budgets, in trainings on the whole training set."),
    INT("scaling.group", "0", 0, INFINITY, "examples", LO_KEYS_NONE,
        .help = "How many examples the top, the middle and the bottom have whose overlap is computed; 0: a "
                "fifteenth of them all."),
    INT("scaling.resamples", "1000", 20, 1000000, "resamples", LO_KEYS_NONE,
        .help = "Of the bootstrap over examples, for intervals."),
    INT("scaling.splits", "10", 1, 10000, "splits", LO_KEYS_NONE,
        .help = "Into random halves of the ensemble's models, for the reliability of the reference."),
};

enum { KEYS = sizeof(table) / sizeof(table[0]) };

int lo_key_count(void)
{
    return KEYS;
}

const lo_key *lo_key_at(int i)
{
    return &table[i];
}

int lo_key_find(const char *path)
{
    for (int i = 0; i < KEYS; i++) {
        if (strcmp(table[i].path, path) == 0) {
            return i;
        }
    }
    return -1;
}

/* ", 1 to 65536", ", above 0", ", at least 0 and below 1", or nothing; of a list's elements ", each ...". */
static void describe_range(const lo_key *key, char *text, size_t size)
{
    const bool list =
        key->type == LO_KEY_INTS || key->type == LO_KEY_INTS_OR_FILE || key->type == LO_KEY_REALS;
    const char *each = list ? "each " : "";
    const bool low = isfinite(key->low);
    const bool high = isfinite(key->high);
    const char *above = key->open_low ? "above" : "at least";
    const char *below = key->open_high ? "below" : "at most";
    text[0] = '\0';
    if (low && high && !key->open_low && !key->open_high) {
        (void)snprintf(text, size, ", %s%.15g to %.15g", each, key->low, key->high);
    } else if (low && high) {
        (void)snprintf(text, size, ", %s%s %.15g and %s %.15g", each, above, key->low, below, key->high);
    } else if (low) {
        (void)snprintf(text, size, ", %s%s %.15g", each, above, key->low);
    } else if (high) {
        (void)snprintf(text, size, ", %s%s %.15g", each, below, key->high);
    }
}

/* ", 1 to 16 of them", ", at least 1 of them", or nothing. */
static void describe_length(const lo_key *key, char *text, size_t size)
{
    text[0] = '\0';
    if (key->most > 0) {
        (void)snprintf(text, size, ", %d to %d of them", key->least, key->most);
    } else if (key->least > 0) {
        (void)snprintf(text, size, ", at least %d of them", key->least);
    }
}

const char *lo_key_allowed(const lo_key *key, char *buffer, size_t size)
{
    char range[96];
    char length[64];
    describe_range(key, range, sizeof(range));
    describe_length(key, length, sizeof(length));
    switch (key->type) {
    case LO_KEY_SECTION:
        (void)snprintf(buffer, size, "a map of keys%s", key->fallback != NULL ? " ({}: the defaults)" : "");
        break;
    case LO_KEY_INT:
        (void)snprintf(buffer, size, "a whole number%s", range);
        break;
    case LO_KEY_REAL:
        (void)snprintf(buffer, size, "a number%s", range);
        break;
    case LO_KEY_BOOL:
        (void)snprintf(buffer, size, "true or false");
        break;
    case LO_KEY_TEXT:
        (void)snprintf(buffer, size, "a text");
        break;
    case LO_KEY_CHOICE:
        (void)snprintf(buffer, size, "one of: %s", key->choices);
        break;
    case LO_KEY_INTS:
        (void)snprintf(buffer, size, "a list of whole numbers%s%s", range, length);
        break;
    case LO_KEY_TEXTS:
        (void)snprintf(buffer, size, "a list of texts%s", length);
        break;
    case LO_KEY_NAMES:
        (void)snprintf(buffer, size, "a list of these, each once: %s", key->choices);
        break;
    case LO_KEY_INTS_OR_FILE:
        (void)snprintf(buffer, size,
                       "a list of whole numbers%s%s, or a text file that holds them, one a line", range,
                       length);
        break;
    case LO_KEY_LAYERS:
        (void)snprintf(buffer, size, "a list of layers");
        break;
    case LO_KEY_REALS:
        (void)snprintf(buffer, size, "a list of numbers%s%s", range, length);
        break;
    case LO_KEY_ITEMS:
        (void)snprintf(buffer, size, "a list of names, or of maps {name: NAME, SETTING: VALUE, ...}%s",
                       length);
        break;
    }
    return buffer;
}

/* "default 10", "required", "not run unless given" and when a key applies. */
static void print_default(FILE *stream, const lo_key *key)
{
    if (key->fallback == NULL) {
        (void)fputs("; required", stream);
    } else if (key->type != LO_KEY_SECTION) {
        (void)fprintf(stream, "; default %s", key->fallback);
    } else if (key->fallback[0] == '\0') {
        (void)fputs("; not run unless given", stream);
    }
    if (key->only != NULL) {
        const size_t length = strcspn(key->only, " ");
        (void)fprintf(stream, "; only with %.*s: %s", (int)length, key->only, key->only + length + 1);
    }
}

void lo_keys_print(FILE *stream)
{
    for (int i = 0; i < KEYS; i++) {
        const lo_key *key = &table[i];
        char allowed[256];
        (void)fprintf(stream, "%s\n    %s", key->path, lo_key_allowed(key, allowed, sizeof(allowed)));
        if (key->unit != NULL && key->unit[0] != '\0') {
            (void)fprintf(stream, " (%s)", key->unit);
        }
        print_default(stream, key);
        (void)fprintf(stream, "\n    %s\n", key->help);
    }
}
