/* Influences of forget examples on each other, as IMU weighs them. */
#ifndef LEAVEOUT_UNLEARN_IMU_H
#define LEAVEOUT_UNLEARN_IMU_H

#include "unlearn/pupil.h"

/* influence [members->count]: I_i = - g_i' F^-1 gbar, with g_i the gradient of example i's loss in what is
 * trained, gbar its mean over the members, F the diagonal of its mean square plus `damping`; evaluation mode.
 * Their sum is never above 0. By gradients of each example: three passes. Errors: as lo_pupil_gradients. */
lo_status lo_imu_influence(lo_pupil *pupil, const lo_members *members, double damping, double *influence,
                           lo_error *err);

/* The same of the head alone, where that is a linear map of vectors, in closed form from one forward pass:
 * with delta_i = softmax(z_i) - target_i and h_i the features and 1, g_i = delta_i h_i', so that F = (Delta o
 * Delta)'(H o H) / n + damping, gbar = Delta' H / n and I_i = - delta_i' (gbar / F) h_i. */
lo_status lo_imu_head_influence(lo_pupil *pupil, const lo_members *members, double damping, double *influence,
                                lo_error *err);
bool lo_imu_has_closed_form(const lo_pupil *pupil);

#endif
