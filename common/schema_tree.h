/* What schema's files share among themselves: the tree as it is built and checked. Not for others. */
#ifndef COMMON_SCHEMA_TREE_H
#define COMMON_SCHEMA_TREE_H

#include "common/arena.h"
#include "common/schema.h"

/* A node while it can still change. schema_node comes first: pointers to one are pointers to the other. */
struct tree_node {
    struct schema_node node;
    bool plain;  /* a scalar without quotes: only that can mean "nothing" */
    bool broken; /* already reported: not checked any further */
};

struct schema_tree {
    struct arena arena;
    struct tree_node *root;
};

/* YAML text into a tree without any table; problems go to the report. NULL if it is not YAML. */
struct schema_tree *schema_tree_build(const char *text, size_t size, struct schema_report *report);

/* Checks the tree against the rows of the top level, sets `field` and adds fallbacks. */
void schema_tree_check(
    struct schema_tree *tree, const struct schema_field *fields, struct schema_report *report);

/* Scalars; false and the value untouched where the text is none. */
bool schema_parse_bool(const char *text, bool *value);
bool schema_parse_integer(const char *text, int64_t *value);
bool schema_parse_percent(const char *text, double *share);

/* A new node in the tree's memory. */
struct tree_node *schema_tree_node(
    struct schema_tree *tree, enum schema_node_kind kind, int line, int column);

static inline struct tree_node *tree_child(const struct schema_node *node, size_t index)
{
    return (
        struct tree_node *)(uintptr_t)node->children[index]; /* ours to change until the tree is handed out */
}

#endif
