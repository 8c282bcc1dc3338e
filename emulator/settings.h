/* settings.h - which chip is emulated, which reports are believed, what goes wrong when. */
#ifndef ANEMONE_EMULATOR_SETTINGS_H
#define ANEMONE_EMULATOR_SETTINGS_H

#include "emulator/chips.h"

#include <stdint.h>

typedef enum em_quirk {
#define EM_QUIRK(ID, ...) EM_QUIRK_##ID,
#include "emulator/quirks.def"
    EM_QUIRK_COUNT
} em_quirk;

typedef enum em_quirk_kind { EM_CHOICE, EM_NUMBER, EM_SET } em_quirk_kind;
typedef struct em_quirk_info {
    const char *name;
    em_quirk_kind kind;
    const char *values, *otherwise, *what, *source;
} em_quirk_info;
extern const em_quirk_info em_quirks[EM_QUIRK_COUNT];

/* Values of the choices that code asks for: positions in the table's "values". */
enum { EM_ORDER_ALPHABETICAL, EM_ORDER_DECLARED, EM_ORDER_SIZE };
enum { EM_SIZES_REQUIRED, EM_SIZES_FREE };
enum { EM_FAILS, EM_WORKS };
enum { EM_ROWS_PACKED, EM_ROWS_STRIDED };
enum { EM_WORK, EM_REFUSED };
enum { EM_CONV_IGNORED, EM_CONV_REFUSED, EM_CONV_WORK };
enum { EM_RELOAD_IGNORED, EM_RELOAD_NEW };
enum { EM_CONCAT_WORKS, EM_CONCAT_NAMED };
enum { EM_INNER_ANY, EM_INNER_ZEROS };
enum { EM_PORTS_WORK, EM_PORTS_ZEROS, EM_PORTS_REFUSED };
enum { EM_RULES_CERTAIN, EM_RULES_ALL, EM_RULES_NONE };
enum { EM_NO_LIMIT = -1 };

typedef enum em_stage {
    EM_STAGE_DESCRIPTOR,
    EM_STAGE_COMPILE,
    EM_STAGE_LOAD,
    EM_STAGE_SURFACE,
    EM_STAGE_LOCK,
    EM_STAGE_REQUEST,
    EM_STAGE_EVAL,
    EM_STAGE_COUNT,
    EM_STAGE_ANY = EM_STAGE_COUNT,
} em_stage;

typedef enum em_fault_kind {
    EM_FAULT_NONE = -1,
#define EM_FAULT(ID, ...) EM_FAULT_##ID,
#include "emulator/faults.def"
    EM_FAULT_COUNT
} em_fault_kind;

typedef struct em_fault_info {
    const char *name;
    em_stage stage;
    const char *arguments, *what;
} em_fault_info;
extern const em_fault_info em_faults[EM_FAULT_COUNT];

typedef struct em_fault {
    em_fault_kind kind;
    int64_t first; /* call of the stage, from 1 */
    bool onwards;  /* and all after it */
    double amount; /* seconds, or a probability */
    uint64_t seed;
} em_fault;

enum { EM_MAX_FAULTS = 32 };
typedef struct em_settings {
    const em_chip *chip;
    int64_t quirk[EM_QUIRK_COUNT]; /* position of the choice, number, or bits of the set */
    int n_faults;
    em_fault faults[EM_MAX_FAULTS];
} em_settings;

/* Parse "key=value,key=value"; keys: chip, quirk, fault. NULL and "" give the defaults. */
bool em_settings_parse(em_settings *s, const em_chips *chips, const char *text, ane_error *e);
/* The value of a quirk as it would be written, into `text`; returns `text`. */
const char *em_quirk_print(em_quirk quirk, int64_t value, char *text, size_t size);

#endif
