// YAMLTree: see DESIGN.md's table.
