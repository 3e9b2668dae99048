# medium
