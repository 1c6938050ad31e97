"""Commands about images: repositories, pipelines, simulated surveys."""
