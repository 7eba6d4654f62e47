#include "common/schema_tree.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/check.h"
#include "common/cleanup.h"

#define SKIPPED_DEPTH_MAX 64

struct builder {
    yaml_parser_t parser;
    struct schema_tree *tree;
    struct schema_report *report;
    const char *text;
    size_t size;
    size_t nodes;
};

/* Children while their number is not known. */
struct child_list {
    struct tree_node **items;
    size_t count, capacity;
};

static void child_list_fini(struct child_list *list)
{
    free(list->items);
}

static void child_list_add(struct child_list *list, struct tree_node *node)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity > 0 ? list->capacity * 2 : 8;
        list->items = check_realloc_array(list->items, list->capacity, sizeof *list->items);
    }
    list->items[list->count++] = node;
}

struct tree_node *schema_tree_node(struct schema_tree *tree, enum schema_node_kind kind, int line, int column)
{
    struct tree_node *node = arena_alloc(&tree->arena, sizeof *node);
    CHECK(node != NULL);
    node->node = (struct schema_node){.kind = kind, .line = line, .column = column, .text = ""};
    return node;
}

/* ── What libyaml could not read ── */

/* libyaml's words, and what a person can do about them. */
static const struct {
    const char *problem, *says;
} yaml_problems[] = {
    {"mapping values are not allowed in this context",
        "a colon where no key is expected: is the line indented too far, or does a value with \": \" need "
        "quotes?"},
    {"did not find expected key", "no key here: is the line indented differently from its neighbours, or a "
                                  "bracket or quote not closed?"},
    {"could not find expected ':'", "a key without a colon"},
    {"found character that cannot start any token",
        "a value cannot begin with this character: put the value in quotes"},
    {"did not find expected ',' or ']'", "the list is not closed: ',' or ']' is missing"},
    {"did not find expected ',' or '}'", "the braces are not closed: ',' or '}' is missing"},
    {"found unexpected end of stream", "the file ends inside a quoted text"},
    {"did not find expected '-' indicator",
        "a list ends here without its last dash: is the line indented wrongly?"},
    {"block sequence entries are not allowed in this context",
        "a dash where no list can begin: put it on a line of its own"},
};

static void position_of_offset(const char *text, size_t offset, struct schema_node *at)
{
    at->line = at->column = 1;
    for (size_t i = 0; i < offset; i++) {
        if (text[i] == '\n') {
            at->line++;
            at->column = 1;
        } else if (((unsigned char)text[i] & 0xc0) != 0x80) {
            at->column++;
        }
    }
}

/* Lines that a tab indents: reported instead of libyaml's words, all of them. */
static size_t report_tabs(struct builder *builder)
{
    size_t found = 0;
    struct schema_node at = {.line = 1};
    for (size_t i = 0; i < builder->size; at.line++) {
        size_t start = i;
        while (i < builder->size && builder->text[i] == ' ') i++;
        if (i < builder->size && builder->text[i] == '\t') {
            at.column = (int)(i - start) + 1;
            schema_problem(builder->report, SCHEMA_ERROR, &at, "indented with a tab; YAML wants spaces");
            found++;
        }
        while (i < builder->size && builder->text[i] != '\n') i++;
        i++;
    }
    return found;
}

static void report_yaml_error(struct builder *builder)
{
    const yaml_parser_t *parser = &builder->parser;
    const char *problem = parser->problem != NULL ? parser->problem : "unreadable";
    struct schema_node at = {0};
    if (parser->error == YAML_READER_ERROR) {
        size_t offset = parser->problem_offset < builder->size ? parser->problem_offset : builder->size;
        position_of_offset(builder->text, offset, &at);
        schema_problem(builder->report, SCHEMA_ERROR, &at, "no text: %s (the file must be UTF-8)", problem);
        return;
    }
    if (report_tabs(builder) > 0) return;
    at.line = (int)parser->problem_mark.line + 1;
    at.column = (int)parser->problem_mark.column + 1;
    for (size_t i = 0; i < ARRAY_COUNT(yaml_problems); i++)
        if (strcmp(problem, yaml_problems[i].problem) == 0) problem = yaml_problems[i].says;
    /* The bracket, quote or list that the problem is in began here. */
    int began = parser->context != NULL ? (int)parser->context_mark.line + 1 : at.line;
    if (began != at.line)
        schema_problem(
            builder->report, SCHEMA_ERROR, &at, "%s (what it belongs to began in line %d)", problem, began);
    else
        schema_problem(builder->report, SCHEMA_ERROR, &at, "%s", problem);
}

/* ── Events into nodes ── */

static bool next_event(struct builder *builder, yaml_event_t *event)
{
    if (yaml_parser_parse(&builder->parser, event) != 0) return true;
    report_yaml_error(builder);
    return false;
}

static struct tree_node *node_at(
    struct builder *builder, enum schema_node_kind kind, const yaml_event_t *event)
{
    builder->nodes++;
    return schema_tree_node(
        builder->tree, kind, (int)event->start_mark.line + 1, (int)event->start_mark.column + 1);
}

/* Anchors and tags say more than config should: two places that change together, types beside the table. */
static void refuse_decoration(
    struct builder *builder, struct tree_node *node, const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor != NULL)
        schema_problem(builder->report, SCHEMA_ERROR, &node->node,
            "anchors (&%.40s) and aliases are not read here: write the value where it is needed",
            (const char *)anchor);
    if (tag != NULL && strcmp((const char *)tag, "!") != 0)
        schema_problem(builder->report, SCHEMA_ERROR, &node->node,
            "tags (%.40s) are not read here: leave it out", (const char *)tag);
}

static bool begins_collection(const yaml_event_t *event)
{
    return event->type == YAML_SEQUENCE_START_EVENT || event->type == YAML_MAPPING_START_EVENT;
}

static bool ends_collection(const yaml_event_t *event)
{
    return event->type == YAML_SEQUENCE_END_EVENT || event->type == YAML_MAPPING_END_EVENT;
}

/* Reads past a collection that has just begun; gives up where that nests on and on, since libyaml's time
 * grows with the square of the depth. */
static bool skip_collection(struct builder *builder)
{
    for (size_t depth = 1; depth > 0;) {
        AUTO(yaml_event_delete) yaml_event_t event = {0};
        if (depth > SKIPPED_DEPTH_MAX || !next_event(builder, &event)) return false;
        if (begins_collection(&event)) depth++;
        if (ends_collection(&event)) depth--;
    }
    return true;
}

static struct tree_node *build_node(struct builder *builder, const yaml_event_t *event, size_t depth);

static struct tree_node *build_scalar(struct builder *builder, const yaml_event_t *event)
{
    struct tree_node *node = node_at(builder, SCHEMA_SCALAR, event);
    const char *value = (const char *)event->data.scalar.value;
    size_t size = event->data.scalar.length;
    char *text = arena_alloc(&builder->tree->arena, size + 1);
    CHECK(text != NULL);
    memcpy(text, value, size);
    node->node.text = text;
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    refuse_decoration(builder, node, event->data.scalar.anchor, event->data.scalar.tag);
    if (strlen(text) != size) {
        schema_problem(builder->report, SCHEMA_ERROR, &node->node, "the value holds a NUL byte");
        node->broken = true;
    }
    return node;
}

/* The nodes up to the end of the collection that has just begun. */
static bool build_children(struct builder *builder, struct child_list *list, size_t depth)
{
    for (;;) {
        AUTO(yaml_event_delete) yaml_event_t event = {0};
        if (!next_event(builder, &event)) return false;
        if (ends_collection(&event)) return true;
        struct tree_node *child = build_node(builder, &event, depth);
        if (child == NULL) return false;
        child_list_add(list, child);
    }
}

static const struct schema_node **node_array(struct builder *builder, size_t count)
{
    const struct schema_node **array = arena_alloc_array(&builder->tree->arena, count, sizeof(void *));
    CHECK(array != NULL);
    return array;
}

static struct tree_node *build_sequence(struct builder *builder, const yaml_event_t *event, size_t depth)
{
    struct tree_node *node = node_at(builder, SCHEMA_SEQUENCE, event);
    refuse_decoration(builder, node, event->data.sequence_start.anchor, event->data.sequence_start.tag);
    AUTO(child_list_fini) struct child_list list = {0};
    if (!build_children(builder, &list, depth)) return NULL;
    node->node.count = list.count;
    node->node.children = node_array(builder, list.count);
    for (size_t i = 0; i < list.count; i++) node->node.children[i] = &list.items[i]->node;
    return node;
}

static int compare_keys(const void *a, const void *b)
{
    const struct schema_node *const *left = a, *const *right = b;
    int order = strcmp((*left)->text, (*right)->text);
    if (order != 0) return order;
    return (*left)->line != (*right)->line ? (*left)->line - (*right)->line
                                           : (*left)->column - (*right)->column;
}

static void refuse_duplicates(struct builder *builder, const struct schema_node *mapping)
{
    AUTO_FREE const struct schema_node **sorted = check_alloc_array(mapping->count, sizeof *sorted);
    for (size_t i = 0; i < mapping->count; i++) sorted[i] = mapping->key_nodes[i];
    qsort(sorted, mapping->count, sizeof *sorted, compare_keys);
    const struct schema_node *first = NULL;
    for (size_t i = 0; i < mapping->count; i++) {
        if (first == NULL || strcmp(first->text, sorted[i]->text) != 0)
            first = sorted[i];
        else
            schema_problem(builder->report, SCHEMA_ERROR, sorted[i],
                "'%.60s' stands here twice: first in line %d", sorted[i]->text, first->line);
    }
}

static struct tree_node *build_mapping(struct builder *builder, const yaml_event_t *event, size_t depth)
{
    struct tree_node *node = node_at(builder, SCHEMA_MAPPING, event);
    refuse_decoration(builder, node, event->data.mapping_start.anchor, event->data.mapping_start.tag);
    AUTO(child_list_fini) struct child_list list = {0};
    if (!build_children(builder, &list, depth)) return NULL;
    node->node.keys = arena_alloc_array(&builder->tree->arena, list.count / 2, sizeof(char *));
    CHECK(node->node.keys != NULL);
    node->node.key_nodes = node_array(builder, list.count / 2);
    node->node.children = node_array(builder, list.count / 2);
    for (size_t i = 0; i + 1 < list.count; i += 2) {
        const struct tree_node *key = list.items[i];
        if (key->node.kind != SCHEMA_SCALAR) {
            schema_problem(builder->report, SCHEMA_ERROR, &key->node, "a key must be a plain word");
            continue;
        }
        if (key->broken) continue;
        size_t at = node->node.count++;
        node->node.keys[at] = key->node.text;
        node->node.key_nodes[at] = &key->node;
        node->node.children[at] = &list.items[i + 1]->node;
    }
    refuse_duplicates(builder, &node->node);
    return node;
}

static struct tree_node *build_alias(struct builder *builder, const yaml_event_t *event)
{
    struct tree_node *node = node_at(builder, SCHEMA_SCALAR, event);
    schema_problem(builder->report, SCHEMA_ERROR, &node->node,
        "aliases (*%.40s) are not read here: write the value where it is needed",
        (const char *)event->data.alias.anchor);
    node->broken = true;
    return node;
}

/* `depth` of the node itself, from 1. */
static struct tree_node *build_node(struct builder *builder, const yaml_event_t *event, size_t depth)
{
    if (builder->nodes >= SCHEMA_NODES_MAX) {
        struct schema_node at = {
            .line = (int)event->start_mark.line + 1, .column = (int)event->start_mark.column + 1};
        schema_problem(builder->report, SCHEMA_ERROR, &at, "more than %d values: the rest is not read",
            SCHEMA_NODES_MAX);
        return NULL;
    }
    if (event->type == YAML_ALIAS_EVENT) return build_alias(builder, event);
    if (event->type == YAML_SCALAR_EVENT) return build_scalar(builder, event);
    CHECK(begins_collection(event));
    if (depth > SCHEMA_DEPTH_MAX) {
        struct tree_node *node = node_at(builder, SCHEMA_SCALAR, event);
        schema_problem(
            builder->report, SCHEMA_ERROR, &node->node, "nested deeper than %d levels", SCHEMA_DEPTH_MAX);
        node->broken = true;
        return skip_collection(builder) ? node : NULL;
    }
    return event->type == YAML_SEQUENCE_START_EVENT ? build_sequence(builder, event, depth + 1)
                                                    : build_mapping(builder, event, depth + 1);
}

/* The first document; a second one is an error. */
static struct tree_node *build_document(struct builder *builder)
{
    struct tree_node *root = NULL;
    for (size_t documents = 0;;) {
        AUTO(yaml_event_delete) yaml_event_t event = {0};
        if (!next_event(builder, &event)) return NULL;
        if (event.type == YAML_STREAM_END_EVENT) break;
        if (event.type == YAML_DOCUMENT_START_EVENT && ++documents > 1) {
            struct schema_node at = {.line = (int)event.start_mark.line + 1, .column = 1};
            schema_problem(
                builder->report, SCHEMA_ERROR, &at, "a second document begins here: there may be one");
            break;
        }
        if (event.type == YAML_SCALAR_EVENT || event.type == YAML_ALIAS_EVENT || begins_collection(&event)) {
            root = build_node(builder, &event, 1);
            if (root == NULL) return NULL;
        }
    }
    return root;
}

/* ── The text as a whole ── */

static const struct {
    const char *bytes;
    size_t size;
    const char *says;
} byte_marks[] = {
    {"\xef\xbb\xbf", 3, "begins with a byte order mark: save the file as UTF-8 without BOM"},
    {"\xff\xfe", 2, "is UTF-16: save the file as UTF-8"},
    {"\xfe\xff", 2, "is UTF-16: save the file as UTF-8"},
};

static bool refuse_encoding(const char *text, size_t size, struct schema_report *report)
{
    for (size_t i = 0; i < ARRAY_COUNT(byte_marks); i++) {
        if (size < byte_marks[i].size || memcmp(text, byte_marks[i].bytes, byte_marks[i].size) != 0) continue;
        schema_problem(report, SCHEMA_ERROR, &(struct schema_node){.line = 1, .column = 1}, "the file %s",
            byte_marks[i].says);
        return true;
    }
    return false;
}

struct schema_tree *schema_tree_build(const char *text, size_t size, struct schema_report *report)
{
    if (size > SCHEMA_FILE_BYTES_MAX) {
        schema_problem(report, SCHEMA_ERROR, NULL, "longer than %d bytes", SCHEMA_FILE_BYTES_MAX);
        return NULL;
    }
    if (refuse_encoding(text, size, report)) return NULL;
    struct builder builder = {
        .tree = check_alloc(sizeof *builder.tree), .report = report, .text = text, .size = size};
    CHECK(yaml_parser_initialize(&builder.parser) != 0);
    yaml_parser_set_encoding(&builder.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&builder.parser, (const unsigned char *)text, size);
    size_t before = report->errors;
    builder.tree->root = build_document(&builder);
    yaml_parser_delete(&builder.parser);
    if (builder.tree->root != NULL) return builder.tree;
    if (report->errors == before) schema_problem(report, SCHEMA_ERROR, NULL, "the file is empty");
    schema_tree_free(builder.tree);
    return NULL;
}

void schema_tree_free(struct schema_tree *tree)
{
    if (tree == NULL) return;
    arena_fini(&tree->arena);
    free(tree);
}

const struct schema_node *schema_root(const struct schema_tree *tree)
{
    return &tree->root->node;
}
