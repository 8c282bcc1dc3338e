/* runconfig.h - RUN/config.json: everything that a run depends on, so that it can go on by itself.
 *
 *   {"format": "anemone run", "version": 1,
 *    "options": {"model": ..., "data": [...], ..., "schedule": "cosine", ...}   as in ane_train_options,
 * paths absolute "model": {"dim": ..., ...}                                                 as in
 * ane_model_config "tokenizer": {"kind": ..., "checksum": hex}, "data": {"checksum": hex},    a resumed run
 * must find the same "device": {"description": ..., "threads": n, "precision": "fp32"}}         other threads
 * or precision: other bits
 */
#ifndef ANEMONE_TRAIN_RUNCONFIG_H
#define ANEMONE_TRAIN_RUNCONFIG_H

#include "anemone/train.h"

#include <jansson.h>

typedef struct ane_run_config {
    ane_train_options options; /* strings belong to `json` and `files` */
    ane_model_config model;
    const char *tokenizer_kind, *description;
    uint32_t tokenizer_checksum, data_checksum;
    int threads;
    ane_precision precision;
    json_t *json; /* of a config that was read */
    const char **files;
} ane_run_config;

bool ane_run_config_write(const ane_run_config *c, const char *run, ane_error *e);
bool ane_run_config_read(ane_run_config *c, const char *run, ane_error *e);
void ane_run_config_free(ane_run_config *c);
bool ane_run_config_exists(const char *run);
/* False, naming the first member that differs. `where` names the thing that `found` is the shape of. */
bool ane_run_config_same_model(
    const ane_model_config *expected, const ane_model_config *found, const char *where, ane_error *e);

#endif
