"""What routing does in trained points: `vlrouting analyse`."""
