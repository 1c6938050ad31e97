"""Commands of those who keep a cluster: its servers, who may read, the demo."""
