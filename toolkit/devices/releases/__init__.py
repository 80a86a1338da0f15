"""What a board serves: whole, checked, one deployer at a time, and back again."""
