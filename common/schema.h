/* YAML under one table: parses (libyaml), checks every key, type, unit and name against the table, and
 * reports all problems at once with file:line:column, the line itself and "did you mean". Pure but for
 * schema_read_file. */
#ifndef COMMON_SCHEMA_H
#define COMMON_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/error.h"

#define SCHEMA_FILE_BYTES_MAX (1024 * 1024)
#define SCHEMA_DEPTH_MAX      16
#define SCHEMA_NODES_MAX      200000
#define SCHEMA_PROBLEMS_MAX   100 /* the rest is counted */

enum schema_type {
    SCHEMA_TEXT,
    SCHEMA_NAME,      /* [A-Za-z0-9._-]{1,64} */
    SCHEMA_BOOL,      /* true, false, yes, no, on, off */
    SCHEMA_INTEGER,   /* within min..max of the row */
    SCHEMA_DURATION,  /* "500ms": a number and a unit */
    SCHEMA_PERCENT,   /* "99.9%" -> .999 */
    SCHEMA_URL,       /* scheme://host…; schemes of the row's words, default http https */
    SCHEMA_CHOICE,    /* one of the row's words */
    SCHEMA_FILE,      /* a path; relative ones count from the config's directory */
    SCHEMA_REFERENCE, /* a key of the top-level map that `words` names ("hosts") */
    SCHEMA_LIST,      /* of the row `element` */
    SCHEMA_MAP,       /* of names to the row `element` */
    SCHEMA_OBJECT,    /* keys: the rows `fields` */
    SCHEMA_ANY_OF, /* the first of the rows `fields` that has the node's shape (scalar, sequence, mapping) */
    SCHEMA_TYPE_COUNT
};

/* A row. Arrays of rows end with a row whose name is NULL. */
struct schema_field {
    const char *name;
    enum schema_type type;
    const char *help;     /* one sentence: for errors and the manual page */
    const char *fallback; /* as written in YAML, NULL: none */
    bool required;
    int64_t min, max;                   /* INTEGER; LIST: number of elements (0, 0: any) */
    const char *words;                  /* CHOICE, URL: "a b c"; REFERENCE: name of the map */
    const struct schema_field *element; /* LIST, MAP */
    const struct schema_field *fields;  /* OBJECT, ANY_OF */
    const char *not_yet; /* accepted but not carried out by this version: the warning says this */
};

enum schema_node_kind { SCHEMA_SCALAR, SCHEMA_SEQUENCE, SCHEMA_MAPPING };

/* A checked node. Entry i of a mapping is keys[i] and children[i]; an OBJECT's absent keys that have a
 * fallback are entries too, at the position of the mapping, so that defaults stand in the table alone. */
struct schema_node {
    enum schema_node_kind kind;
    int line, column; /* from 1 */
    const char *text; /* scalar, NUL-terminated */
    size_t count;
    const struct schema_node **children;
    const char **keys;                    /* mapping only */
    const struct schema_node **key_nodes; /* mapping only: where each key stands */
    const struct schema_field *field;     /* the row it was checked against, NULL unknown */
};

struct schema_tree; /* owns nodes and text */

enum schema_level { SCHEMA_ERROR, SCHEMA_WARNING };

struct schema_problem {
    enum schema_level level;
    int line, column;
    char text[320]; /* "unknown key 'depend_on'; did you mean 'depends_on'?" */
};

struct schema_report {
    char file[256];
    struct schema_problem problems[SCHEMA_PROBLEMS_MAX];
    size_t count;
    size_t left_out; /* beyond the maximum */
    size_t errors;
    char *source; /* the file's text, for showing lines; owned */
};

void schema_report_fini(struct schema_report *report);

/* Adds a problem at a node (NULL: the file as a whole). */
void schema_problem(struct schema_report *report, enum schema_level level, const struct schema_node *node,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Into file order: by line, then column; problems of the file as a whole come first. */
void schema_report_sort(struct schema_report *report);

/* Prints as compilers do:
 *     faultline.yaml:12:5: error: unknown key 'depend_on'; did you mean 'depends_on'?
 *        12 |     depend_on: [main]
 *           |     ^
 * sorted by line. colour: ANSI. */
void schema_report_print(const struct schema_report *report, FILE *out, bool colour);

/* Parses and checks against the rows of the top level. A tree comes back whenever the text was YAML at all,
 * even with errors in the report; NULL otherwise. */
struct schema_tree *schema_parse(const char *text, size_t size, const char *file,
    const struct schema_field *fields, struct schema_report *report);
void schema_tree_free(struct schema_tree *tree);
const struct schema_node *schema_root(const struct schema_tree *tree);

/* The child of a mapping by key (or its fallback), NULL if absent (or if node is NULL or no mapping). */
const struct schema_node *schema_get(const struct schema_node *node, const char *key);
/* Whether an unknown key of an OBJECT is close to `key`: then its absence has been explained already. */
bool schema_misspelt(const struct schema_node *node, const char *key);

/* The scalar's text; `otherwise`, then "", where node is NULL or no scalar. The others: `otherwise` where
 * node is NULL or does not hold one. */
const char *schema_text(const struct schema_node *node, const char *otherwise);
int64_t schema_integer(const struct schema_node *node, int64_t otherwise);
int64_t schema_duration_us(const struct schema_node *node, int64_t otherwise);
double schema_share(const struct schema_node *node, double otherwise); /* PERCENT */
bool schema_bool(const struct schema_node *node, bool otherwise);

/* The closest of the words: edit distance (Damerau-Levenshtein, case ignored) at most a third of the length,
 * NULL if none is close. */
const char *schema_suggest(const char *word, const char *const *words, size_t count);

/* Writes the table as a reference, one line per key: for the manual page and `--print-schema`. */
void schema_print(const struct schema_field *fields, FILE *out);

#endif
