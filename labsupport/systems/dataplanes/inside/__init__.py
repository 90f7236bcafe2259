"""What runs on nodes with a bare interpreter (`-I -S`) and the standard library only: see machines/inside."""
