"""The pages of workspaces: parse, call one service or selector, answer."""
