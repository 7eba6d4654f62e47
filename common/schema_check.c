#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/cleanup.h"
#include "common/schema_tree.h"
#include "common/timetext.h"
#include "common/url.h"

#define WORDS_MAX      32 /* of a CHOICE or URL row, keys of an OBJECT that are named in an error */
#define REFERENCED_MAX 8  /* maps that references point into */

/* The names of one top-level map, sorted: references are looked up here. */
struct name_index {
    const char *map;
    const char **names;
    size_t count;
};

struct checker {
    struct schema_tree *tree;
    struct schema_report *report;
    struct name_index indexes[REFERENCED_MAX];
    size_t index_count;
};

/* A place to check: the node, where its key stands (the node itself in a list), and what to call it. */
struct place {
    struct tree_node *value;
    const struct schema_node *key;
    const char *name;
};

static void check_value(struct checker *checker, const struct schema_field *field, struct place place);

#define complain(checker, place, ...)                                                                        \
    schema_problem((checker)->report, SCHEMA_ERROR, &(place).value->node, __VA_ARGS__)

/* ── Words ── */

/* Splits "a b c" for schema_suggest; the copy owns what the words point to. */
struct word_list {
    char *copy;
    const char *words[WORDS_MAX];
    size_t count;
};

static void word_list_fini(struct word_list *list)
{
    free(list->copy);
}

static struct word_list word_list_of(const char *text)
{
    struct word_list list = {.copy = check_strdup(text)};
    char *save = NULL;
    for (char *word = strtok_r(list.copy, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save)) {
        CHECK(list.count < WORDS_MAX);
        list.words[list.count++] = word;
    }
    return list;
}

static bool word_list_has(const struct word_list *list, const char *word)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->words[i], word) == 0) return true;
    return false;
}

/* "a, b, c" into out, cut where it gets long. */
static const char *join(const char *const *words, size_t count, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i > 0 ? ", " : "", words[i]);
    if (used >= size) memcpy(out + size - 4, "...", 4);
    return out;
}

static bool is_nothing(const struct tree_node *node)
{
    return node->node.kind == SCHEMA_SCALAR && node->plain &&
           (node->node.text[0] == '\0' || strcmp(node->node.text, "~") == 0 ||
               strcmp(node->node.text, "null") == 0);
}

/* ── Scalars ── */

static bool name_good(const char *text)
{
    size_t size = strlen(text);
    if (size < 1 || size > 64) return false;
    for (; *text != '\0'; text++)
        if (!isalnum((unsigned char)*text) && strchr("._-", *text) == NULL) return false;
    return true;
}

static void check_text(struct checker *checker, const struct schema_field *field, struct place place)
{
    (void)field;
    for (const char *c = place.value->node.text; *c != '\0'; c++) {
        if ((unsigned char)*c >= 0x20 && *c != 0x7f) continue;
        complain(checker, place, "'%.64s' holds a line break or another control character", place.name);
        return;
    }
}

static void check_name(struct checker *checker, const struct schema_field *field, struct place place)
{
    (void)field;
    if (!name_good(place.value->node.text))
        complain(checker, place, "'%.64s' is no name: 1 to 64 of letters, digits, '.', '_', '-'",
            place.value->node.text);
}

static void check_bool(struct checker *checker, const struct schema_field *field, struct place place)
{
    (void)field;
    bool value;
    if (!schema_parse_bool(place.value->node.text, &value))
        complain(
            checker, place, "'%.64s' must be true or false, not '%.40s'", place.name, place.value->node.text);
}

static void check_integer(struct checker *checker, const struct schema_field *field, struct place place)
{
    int64_t value;
    if (!schema_parse_integer(place.value->node.text, &value))
        complain(checker, place, "'%.64s' must be a whole number, not '%.40s'", place.name,
            place.value->node.text);
    else if ((field->min != 0 || field->max != 0) && (value < field->min || value > field->max))
        complain(checker, place, "'%.64s' must be %lld to %lld, not %lld", place.name, (long long)field->min,
            (long long)field->max, (long long)value);
}

static void check_duration(struct checker *checker, const struct schema_field *field, struct place place)
{
    (void)field;
    int64_t us;
    struct error err;
    if (timetext_parse_duration(place.value->node.text, &us, &err) != 0)
        complain(checker, place, "'%.64s': %s", place.name, err.text);
}

static void check_percent(struct checker *checker, const struct schema_field *field, struct place place)
{
    (void)field;
    double share;
    if (!schema_parse_percent(place.value->node.text, &share))
        complain(checker, place, "'%.64s': '%.40s' is no percentage: write a number and %%, like 99.9%%",
            place.name, place.value->node.text);
    else if (share > 1)
        complain(
            checker, place, "'%.64s' must be 0%% to 100%%, not %.40s", place.name, place.value->node.text);
}

static void check_url(struct checker *checker, const struct schema_field *field, struct place place)
{
    const char *text = place.value->node.text;
    struct url_parts parts;
    struct error err;
    if (url_split(text, &parts, &err) != 0) {
        complain(checker, place, "'%.64s': '%.80s' is no URL: %.120s", place.name, text, err.text);
        return;
    }
    AUTO(word_list_fini)
    struct word_list schemes = word_list_of(field->words != NULL ? field->words : "http https");
    char scheme[32], list[64];
    snprintf(scheme, sizeof scheme, "%.*s", (int)(parts.scheme.size < 31 ? parts.scheme.size : 31), text);
    if (!word_list_has(&schemes, scheme))
        complain(checker, place, "'%.64s': the scheme '%s' is not read here: %s", place.name, scheme,
            join(schemes.words, schemes.count, list, sizeof list));
}

static void check_choice(struct checker *checker, const struct schema_field *field, struct place place)
{
    AUTO(word_list_fini) struct word_list words = word_list_of(field->words);
    if (word_list_has(&words, place.value->node.text)) return;
    char list[160];
    const char *close = schema_suggest(place.value->node.text, words.words, words.count);
    if (close != NULL)
        complain(checker, place, "'%.64s': unknown word '%.64s'; did you mean '%s'?", place.name,
            place.value->node.text, close);
    else
        complain(checker, place, "'%.64s': unknown word '%.64s'; one of %s", place.name,
            place.value->node.text, join(words.words, words.count, list, sizeof list));
}

static void check_file(struct checker *checker, const struct schema_field *field, struct place place)
{
    if (place.value->node.text[0] == '\0')
        complain(checker, place, "'%.64s' must name a file", place.name);
    else
        check_text(checker, field, place);
}

/* ── References ── */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const struct name_index *index_of(struct checker *checker, const char *map)
{
    for (size_t i = 0; i < checker->index_count; i++)
        if (strcmp(checker->indexes[i].map, map) == 0) return &checker->indexes[i];
    CHECK(checker->index_count < REFERENCED_MAX);
    struct name_index *index = &checker->indexes[checker->index_count++];
    index->map = map;
    const struct schema_node *node = schema_get(&checker->tree->root->node, map);
    if (node == NULL || node->kind != SCHEMA_MAPPING) return index;
    index->names = check_alloc_array(node->count, sizeof *index->names);
    index->count = node->count;
    for (size_t i = 0; i < node->count; i++) index->names[i] = node->keys[i];
    qsort(index->names, index->count, sizeof *index->names, compare_names);
    return index;
}

static void check_reference(struct checker *checker, const struct schema_field *field, struct place place)
{
    const char *name = place.value->node.text;
    const struct name_index *index = index_of(checker, field->words);
    if (index->count > 0 &&
        bsearch(&name, index->names, index->count, sizeof *index->names, compare_names) != NULL)
        return;
    const char *close = schema_suggest(name, index->names, index->count);
    if (close != NULL)
        complain(checker, place, "'%.64s': no '%.64s' in '%s'; did you mean '%.64s'?", place.name, name,
            field->words, close);
    else
        complain(checker, place, "'%.64s': no '%.64s' in '%s'", place.name, name, field->words);
}

/* ── Collections ── */

static void check_size(struct checker *checker, const struct schema_field *field, struct place place)
{
    int64_t count = (int64_t)place.value->node.count;
    if (field->max > 0 && count > field->max)
        complain(checker, place, "'%.64s' has %lld entries: at most %lld", place.name, (long long)count,
            (long long)field->max);
    if (count < field->min)
        complain(checker, place, "'%.64s' needs %lld %s at least", place.name, (long long)field->min,
            field->min == 1 ? "entry" : "entries");
}

static void check_list(struct checker *checker, const struct schema_field *field, struct place place)
{
    check_size(checker, field, place);
    const struct schema_node *node = &place.value->node;
    for (size_t i = 0; i < node->count; i++)
        check_value(
            checker, field->element, (struct place){tree_child(node, i), node->children[i], place.name});
}

static void check_map(struct checker *checker, const struct schema_field *field, struct place place)
{
    check_size(checker, field, place);
    const struct schema_node *node = &place.value->node;
    for (size_t i = 0; i < node->count; i++) {
        if (!name_good(node->keys[i]))
            schema_problem(checker->report, SCHEMA_ERROR, node->key_nodes[i],
                "'%.64s' is no name: 1 to 64 of letters, digits, '.', '_', '-'", node->keys[i]);
        check_value(
            checker, field->element, (struct place){tree_child(node, i), node->key_nodes[i], node->keys[i]});
    }
}

static const struct schema_field *find_field(const struct schema_field *fields, const char *name)
{
    for (; fields->name != NULL; fields++)
        if (strcmp(fields->name, name) == 0) return fields;
    return NULL;
}

static void unknown_key(
    struct checker *checker, const struct schema_field *fields, const struct schema_node *key)
{
    const char *names[WORDS_MAX];
    size_t count = 0;
    for (; fields[count].name != NULL; count++) {
        CHECK(count < WORDS_MAX);
        names[count] = fields[count].name;
    }
    char list[200];
    const char *close = schema_suggest(key->text, names, count);
    if (close != NULL)
        schema_problem(
            checker->report, SCHEMA_ERROR, key, "unknown key '%.64s'; did you mean '%s'?", key->text, close);
    else if (strcmp(key->text, "<<") == 0)
        schema_problem(checker->report, SCHEMA_ERROR, key,
            "merge keys (<<) are not read here: write the values where they are needed");
    else
        schema_problem(checker->report, SCHEMA_ERROR, key, "unknown key '%.64s'; the keys here are %s",
            key->text, join(names, count, list, sizeof list));
}

/* Appends the rows that have a fallback and stand nowhere, as if they had been written. */
static void add_fallbacks(
    struct checker *checker, const struct schema_field *fields, struct schema_node *node)
{
    size_t missing = 0, count = node->count;
    for (const struct schema_field *field = fields; field->name != NULL; field++)
        missing += field->fallback != NULL && schema_get(node, field->name) == NULL;
    if (missing == 0) return;
    struct arena *arena = &checker->tree->arena;
    const char **keys = arena_alloc_array(arena, count + missing, sizeof *keys);
    const struct schema_node **key_nodes = arena_alloc_array(arena, count + missing, sizeof *key_nodes);
    const struct schema_node **children = arena_alloc_array(arena, count + missing, sizeof *children);
    CHECK(keys != NULL && key_nodes != NULL && children != NULL);
    for (size_t i = 0; i < count; i++) {
        keys[i] = node->keys[i];
        key_nodes[i] = node->key_nodes[i];
        children[i] = node->children[i];
    }
    for (const struct schema_field *field = fields; field->name != NULL; field++) {
        if (field->fallback == NULL || schema_get(node, field->name) != NULL) continue;
        struct tree_node *fallback = schema_tree_node(checker->tree, SCHEMA_SCALAR, node->line, node->column);
        fallback->node.text = field->fallback;
        fallback->node.field = field;
        keys[count] = field->name;
        key_nodes[count] = &fallback->node;
        children[count++] = &fallback->node;
    }
    node->keys = keys;
    node->key_nodes = key_nodes;
    node->children = children;
    node->count = count;
}

static void check_object(struct checker *checker, const struct schema_field *field, struct place place)
{
    struct schema_node *node = &place.value->node;
    for (size_t i = 0; i < node->count; i++) {
        const struct schema_field *row = find_field(field->fields, node->keys[i]);
        if (row == NULL)
            unknown_key(checker, field->fields, node->key_nodes[i]);
        else
            check_value(checker, row, (struct place){tree_child(node, i), node->key_nodes[i], node->keys[i]});
    }
    for (const struct schema_field *row = field->fields; row->name != NULL; row++)
        if (row->required && schema_get(node, row->name) == NULL && !schema_misspelt(node, row->name))
            schema_problem(checker->report, SCHEMA_ERROR, place.key, "'%.64s' lacks '%s': %s", place.name,
                row->name, row->help);
    add_fallbacks(checker, field->fields, node);
}

/* ── Types ── */

static const struct {
    const char *noun; /* "must be …" */
    enum schema_node_kind kind;
    void (*check)(struct checker *checker, const struct schema_field *field, struct place place);
} types[] = {
    [SCHEMA_TEXT] = {"a text", SCHEMA_SCALAR, check_text},
    [SCHEMA_NAME] = {"a name", SCHEMA_SCALAR, check_name},
    [SCHEMA_BOOL] = {"true or false", SCHEMA_SCALAR, check_bool},
    [SCHEMA_INTEGER] = {"a whole number", SCHEMA_SCALAR, check_integer},
    [SCHEMA_DURATION] = {"a duration like 500ms", SCHEMA_SCALAR, check_duration},
    [SCHEMA_PERCENT] = {"a percentage like 99.9%", SCHEMA_SCALAR, check_percent},
    [SCHEMA_URL] = {"a URL", SCHEMA_SCALAR, check_url},
    [SCHEMA_CHOICE] = {"one word", SCHEMA_SCALAR, check_choice},
    [SCHEMA_FILE] = {"the name of a file", SCHEMA_SCALAR, check_file},
    [SCHEMA_REFERENCE] = {"one name", SCHEMA_SCALAR, check_reference},
    [SCHEMA_LIST] = {"a list: [...]", SCHEMA_SEQUENCE, check_list},
    [SCHEMA_MAP] = {"names with values: {name: ...}", SCHEMA_MAPPING, check_map},
    [SCHEMA_OBJECT] = {"keys with values: {key: ...}", SCHEMA_MAPPING, check_object},
    [SCHEMA_ANY_OF] = {"", SCHEMA_SCALAR, NULL},
};
static_assert(ARRAY_COUNT(types) == SCHEMA_TYPE_COUNT, "a row per type");

/* The row of an ANY_OF that has the node's shape, NULL if none has. */
static const struct schema_field *choose(const struct schema_field *field, const struct tree_node *node)
{
    if (field->type != SCHEMA_ANY_OF) return field;
    for (const struct schema_field *row = field->fields; row->name != NULL; row++)
        if (types[row->type].kind == node->node.kind) return row;
    return NULL;
}

static void wrong_shape(struct checker *checker, const struct schema_field *field, struct place place)
{
    if (field->type != SCHEMA_ANY_OF) {
        complain(checker, place, "'%.64s' must be %s", place.name, types[field->type].noun);
        return;
    }
    char list[160] = "";
    size_t used = 0;
    for (const struct schema_field *row = field->fields; row->name != NULL && used < sizeof list; row++)
        used += (size_t)snprintf(
            list + used, sizeof list - used, "%s%s", used > 0 ? " or " : "", types[row->type].noun);
    complain(checker, place, "'%.64s' must be %s", place.name, list);
}

static void check_value(struct checker *checker, const struct schema_field *field, struct place place)
{
    struct tree_node *node = place.value;
    node->node.field = field;
    if (field->not_yet != NULL)
        schema_problem(checker->report, SCHEMA_WARNING, place.key,
            "'%.64s' is read but not carried out yet: %s", place.name, field->not_yet);
    if (node->broken) return;
    if (is_nothing(node)) {
        /* "app1:" alone is a host with nothing to add; whatever is required is then missed by name. */
        if (field->type != SCHEMA_OBJECT && field->type != SCHEMA_MAP && field->type != SCHEMA_LIST) {
            schema_problem(checker->report, SCHEMA_ERROR, place.key, "'%.64s' has no value", place.name);
            node->broken = true;
            return;
        }
        node->node.kind = types[field->type].kind;
    }
    const struct schema_field *row = choose(field, node);
    if (row == NULL || types[row->type].kind != node->node.kind) {
        wrong_shape(checker, field, place);
        return;
    }
    node->node.field = row;
    if (types[row->type].check != NULL) types[row->type].check(checker, row, place);
}

void schema_tree_check(
    struct schema_tree *tree, const struct schema_field *fields, struct schema_report *report)
{
    struct checker checker = {.tree = tree, .report = report};
    const struct schema_field top = {.name = "the file", .type = SCHEMA_OBJECT, .fields = fields};
    check_value(&checker, &top, (struct place){tree->root, &tree->root->node, top.name});
    for (size_t i = 0; i < checker.index_count; i++) free(checker.indexes[i].names);
}

bool schema_misspelt(const struct schema_node *node, const char *key)
{
    for (size_t i = 0; node != NULL && node->kind == SCHEMA_MAPPING && i < node->count; i++)
        if (node->field == NULL || find_field(node->field->fields, node->keys[i]) == NULL)
            if (schema_suggest(node->keys[i], &key, 1) != NULL) return true;
    return false;
}
