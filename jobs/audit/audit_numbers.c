#include "jobs/audit/audit_numbers.h"

#include "audit/metrics.h"

#include <stddef.h>

static const lo_audit_number numbers[LO_AUDIT_NUMBERS] = {
    [LO_AUDIT_DISAGREEMENT] =
        {.name = "disagreement",
         .metric = "disagreement",
         .description =
             "share of the forget set on which the model and an oracle name different classes; mean "
             "over oracles"},
    [LO_AUDIT_ACTIVATION] = {.name = "activation_distance",
                             .metric = "activation_distance",
                             .description =
                                 "mean over the forget set of |softmax - an oracle's|_2; mean over oracles"},
    [LO_AUDIT_ACTIVATION_L1] = {.name = "activation_distance_l1",
                                .metric = "activation_distance",
                                .description = "the same with the sum of absolute differences, twice the "
                                               "total variation (Golatkar et al., 2020)"},
    [LO_AUDIT_DELTA_FORGET] = {.name = "forget_delta",
                               .metric = "accuracy_delta",
                               .description = "an oracle's accuracy on the forget set less the model's; mean "
                                              "over oracles; positive: the model is "
                                              "worse there"},
    [LO_AUDIT_DELTA_RETAIN] = {.name = "retain_delta",
                               .metric = "accuracy_delta",
                               .description = "the same on the retain set"},
    [LO_AUDIT_DELTA_VALIDATION] = {.name = "validation_delta",
                                   .metric = "accuracy_delta",
                                   .description = "the same on the validation set"},
    [LO_AUDIT_DELTA_TEST] = {.name = "test_delta",
                             .metric = "accuracy_delta",
                             .description = "the same on the test set"},
    [LO_AUDIT_JS] =
        {.name = "js",
         .metric = "js",
         .description =
             "mean over the forget set of Jensen and Shannon's divergence from an oracle, summed over "
             "classes, in "
             "nats; mean over oracles"},
    [LO_AUDIT_AUS] =
        {.name = "aus",
         .metric = "aus",
         .description =
             "adaptive unlearning score: test accuracy kept, over distance of the forget accuracy"},
    [LO_AUDIT_SVC] =
        {.name = "mia_svc",
         .metric = "mia_svc",
         .description =
             "efficacy: share of the forget set that a support-vector machine on the confidence, fitted "
             "to retain and test examples, takes for non-members: as papers report it, members of all "
             "classes, "
             "non-members of the forget set's",
         .feature = "confidence",
         .fitted = true},
    [LO_AUDIT_SVC_MATCHED] = {.name = "mia_svc_matched",
                              .metric = "mia_svc",
                              .description = "mia_svc with members and non-members of the same classes, "
                                             "those of the forget set that the retain "
                                             "set has too: what a class alone gives away is not in it",
                              .feature = "confidence",
                              .fitted = true},
    [LO_AUDIT_SVC_CORRECT] = {.name = "mia_svc_correct",
                              .metric = "mia_svc",
                              .description = "mia_svc on whether the class is right",
                              .feature = "correct",
                              .fitted = true},
    [LO_AUDIT_SVC_ENTROPY] = {.name = "mia_svc_entropy",
                              .metric = "mia_svc",
                              .description = "mia_svc on the entropy",
                              .feature = "entropy",
                              .fitted = true},
    [LO_AUDIT_SVC_MODIFIED_ENTROPY] = {.name = "mia_svc_modified_entropy",
                                       .metric = "mia_svc",
                                       .description = "mia_svc on the modified entropy",
                                       .feature = "modified_entropy",
                                       .fitted = true},
    [LO_AUDIT_SVC_LOSS] = {.name = "mia_svc_loss",
                           .metric = "mia_svc",
                           .description = "mia_svc on the loss",
                           .feature = "loss",
                           .fitted = true},
    [LO_AUDIT_SVC_MARGIN] = {.name = "mia_svc_margin",
                             .metric = "mia_svc",
                             .description = "mia_svc on the logit margin",
                             .feature = "margin",
                             .fitted = true},
    [LO_AUDIT_LOSS] = {.name = "mia_loss",
                       .metric = "mia_loss",
                       .description =
                           "accuracy of logistic regression on the loss, forget set against test examples",
                       .fitted = true},
    [LO_AUDIT_ENTROPY] = {.name = "mia_entropy",
                          .metric = "mia_entropy",
                          .description = "the same on the entropy",
                          .fitted = true},
    [LO_AUDIT_POPULATION] =
        {.name = "mia_population",
         .metric = "mia_population",
         .description = "share of the forget set whose loss is below that of 1 % of examples never seen"},
    [LO_AUDIT_TOW_MIA] = {.name = "tow_mia",
                          .metric = "tow_mia",
                          .description =
                              "ToW with mia_svc in the place of the forget accuracy; mean over oracles"},
    [LO_AUDIT_AVG_GAP] =
        {.name = "avg_gap",
         .metric = "avg_gap",
         .description =
             "mean of |model - oracle| over UA, retain and test accuracy and mia_svc; mean over oracles"},
    [LO_AUDIT_LIRA] = {.name = "lira",
                       .metric = "lira",
                       .description = "AUC of LiRA, offline, forget set against test examples"},
    [LO_AUDIT_LIRA_RATE] = {.name = "lira_tpr_at_0.01",
                            .metric = "lira",
                            .description = "share of the forget set found at 1 % false positives"},
    [LO_AUDIT_LIRA_RATE_1000] = {.name = "lira_tpr_at_0.001",
                                 .metric = "lira",
                                 .description = "share of the forget set found at 0.1 % false positives"},
    [LO_AUDIT_LIRA_EPSILON] = {.name = "lira_epsilon",
                               .metric = "lira",
                               .description = "epsilon that the share found at 1 % false positives refutes "
                                              "(delta 0), by the worse ends of the "
                                              "intervals of both shares, were examples independent",
                               .best = "0"},
    [LO_AUDIT_RMIA] = {.name = "rmia",
                       .metric = "rmia",
                       .description =
                           "AUC of RMIA (gamma 1), forget set against one half of the test examples; "
                           "the other half is "
                           "the population"},
    [LO_AUDIT_RMIA_RATE] = {.name = "rmia_tpr_at_0.01",
                            .metric = "rmia",
                            .description = "share of the forget set found at 1 % false positives"},
    [LO_AUDIT_RMIA_RATE_1000] = {.name = "rmia_tpr_at_0.001",
                                 .metric = "rmia",
                                 .description = "share of the forget set found at 0.1 % false positives"},
    [LO_AUDIT_RMIA_EPSILON] = {.name = "rmia_epsilon",
                               .metric = "rmia",
                               .description = "lira_epsilon of RMIA",
                               .best = "0"},
    [LO_AUDIT_U_LIRA] =
        {.name = "u_lira",
         .metric = "u_lira",
         .description = "mean over the forget set of the AUC, over pairs of an unlearned model and one that "
                        "never saw it, of "
                        "LiRA: all seeds of a method together"},
    [LO_AUDIT_U_LIRA_POOLED] = {.name = "u_lira_pooled",
                                .metric = "u_lira",
                                .description = "AUC of the scores of all examples and models together"},
    [LO_AUDIT_U_LIRA_RATE] = {.name = "u_lira_tpr_at_0.01",
                              .metric = "u_lira",
                              .description = "share of these scores found at 1 % false positives"},
    [LO_AUDIT_U_LIRA_RATE_1000] = {.name = "u_lira_tpr_at_0.001",
                                   .metric = "u_lira",
                                   .description = "share of these scores found at 0.1 % false positives"},
    [LO_AUDIT_U_LIRA_EXAMPLE_RATE] = {.name = "u_lira_example_tpr_at_0.01",
                                      .metric = "u_lira",
                                      .description = "mean over the forget set of the share of models found "
                                                     "at 1 % false positives, each example with a "
                                                     "threshold of its own"},
    [LO_AUDIT_U_LIRA_EXAMPLE_RATE_1000] = {.name = "u_lira_example_tpr_at_0.001",
                                           .metric = "u_lira",
                                           .description = "the same at 0.1 % false positives"},
    [LO_AUDIT_KLOM] =
        {.name = "klom",
         .metric = "klom",
         .description = "95th percentile over the forget set of KL(unlearned, oracles) of margins: all seeds "
                        "together; its authors take "
                        "100 of each, with few the noise is most of it; figure and ceiling from equal "
                        "numbers, intervals "
                        "from 5 seeds and 10 oracles on"},
    [LO_AUDIT_QUALITY] =
        {.name = "forgetting_quality",
         .metric = "forgetting_quality",
         .description =
             "forgetting quality of the 2023 competition, without its factors of accuracy: all seeds "
             "together; figure and ceiling from equal numbers, intervals from 5 seeds and 10 oracles on"},
    [LO_AUDIT_WEIGHTS] =
        {.name = "weight_distance",
         .metric = "weight_distance",
         .description =
             "2 |w - w'| / (|w| + |w'|) of all parameters, w' an oracle's; mean over oracles; layer by "
             "layer in layer"},
    [LO_AUDIT_ZRF] = {.name = "zrf",
                      .metric = "zrf",
                      .description = "1 - mean over the forget set of Jensen and Shannon's divergence (nats) "
                                     "from a network of random "
                                     "weights"},
    [LO_AUDIT_RELEARN] =
        {.name = "relearn",
         .metric = "relearn",
         .description =
             "epochs of fine-tuning on the forget set (500 of it) until its loss is the original's; 101: "
             "more than 100"},
    [LO_AUDIT_ANAMNESIS] =
        {.name = "anamnesis",
         .metric = "relearn",
         .description = "relearn over an oracle's, mean over oracles; below 1: what was forgotten comes back "
                        "faster than it is learned"},
    [LO_AUDIT_ENTANGLEMENT] =
        {.name = "entanglement",
         .metric = "entanglement",
         .description =
             "spread of forget and retain set over their distance, in what the last layer sees; the "
             "larger, the more alike they are"},
};

const lo_audit_number *lo_audit_number_at(int i)
{
    return &numbers[i];
}

const char *lo_audit_best(const lo_audit_number *number)
{
    return number->best != NULL ? number->best : lo_metric_find(number->metric)->best;
}

int lo_audit_curve_number(int curve)
{
    static const int number[LO_AUDIT_CURVES] = {LO_AUDIT_LIRA, LO_AUDIT_RMIA};
    return number[curve];
}

static const lo_audit_number by_numbers[LO_BY_NUMBERS] = {
    [LO_BY_FORGET_ACCURACY] = {.name = "forget_accuracy",
                               .metric = "accuracy",
                               .description = "accuracy on the group"},
    [LO_BY_TOW] = {.name = "tow",
                   .metric = "tow",
                   .description = "ToW with the group in the place of the forget set: product over group, "
                                  "retain and test set of 1 "
                                  "- |accuracy - an oracle's|; mean over oracles"},
    [LO_BY_SVC] = {.name = "mia_svc",
                   .metric = "mia_svc",
                   .description =
                       "share of the group that the support-vector machine of mia_svc takes for non-members"},
    [LO_BY_DISAGREEMENT] =
        {.name = "disagreement",
         .metric = "disagreement",
         .description =
             "share of the group on which the model and an oracle name different classes; mean over "
             "oracles"},
};

const lo_audit_number *lo_audit_by_number_at(int i)
{
    return &by_numbers[i];
}

static const char *const reasons[LO_AUDIT_REASONS] = {
    [LO_AUDIT_FOUND] = "",
    [LO_AUDIT_NO_MODEL] = "there is no model: the method does not apply, or it diverged",
    [LO_AUDIT_NO_ORACLE] = "needs an oracle that is another model: raise unlearning.oracles",
    [LO_AUDIT_NO_ORIGINAL] = "needs the original of the same seed",
    [LO_AUDIT_NO_SCORE] = "an original has no use for it",
    [LO_AUDIT_FEW_OTHERS] = ("too few examples that the model never saw, of the classes of the forget set; 1 "
                             "% false positives need 100 of them, 0.1 % 1000"),
    [LO_AUDIT_FEW_REFERENCES] =
        "needs an ensemble, or 2 oracles that are other models: raise unlearning.oracles",
    [LO_AUDIT_FEW_MODELS] = "needs 3 seeds and 3 oracles: raise unlearning.seeds and unlearning.oracles",
    [LO_AUDIT_FEW_HALVES] = "oracles against oracles need 6: raise unlearning.oracles",
    [LO_AUDIT_NOT_KEPT] = "needs the weights of the model and of an oracle: unlearning.keep_models",
    [LO_AUDIT_NO_WEIGHTS] = "needs the weights of the model: unlearning.keep_models",
    [LO_AUDIT_NO_RELEARNING] =
        "needs oracles that learn the forget set within 100 epochs, and in more than none",
    [LO_AUDIT_NOT_ASKED] = "not asked for",
    [LO_AUDIT_GIVEN_UP] = "given up: its task killed the rank that worked on it, again and again",
    [LO_AUDIT_NO_GROUPS] =
        "its forget set has no groups: neither select: mix nor a method that splits by a score",
    [LO_AUDIT_FEW_SCORES] = ("1 % false positives need 100 models that never saw it, 0.1 % need 1000; of all "
                             "scores models times examples"),
    [LO_AUDIT_NO_VALIDATION] = "needs validation examples: data.validation",
    [LO_AUDIT_NO_MATCH] = "needs retain examples of the forget set's classes, which are forgotten whole",
};

const char *lo_audit_reason(int reason)
{
    return reasons[reason];
}
