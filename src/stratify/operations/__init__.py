"""What a deployment needs besides its runs: whether it is well, being told when it is not, a copy and the way back."""
