"""What strings several rooms together: opening any model, judging, measuring, the demo."""
