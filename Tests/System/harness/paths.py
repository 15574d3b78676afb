"""Where things are: the repository, the binary under test, the public documentation and its examples."""
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SYSTEM = ROOT / "Tests" / "System"
MAPPINGS = ROOT / "config" / "mappings"

# The release build, and the debug one with the points at which a test kills it (Sources/Runtime/CrashPoint.swift).
BINARY = Path(os.environ.get("WEBHOOK_BRIDGE", ROOT / ".build" / "release" / "webhook-bridge")).absolute()
DEBUG_BINARY = Path(os.environ.get("WEBHOOK_BRIDGE_DEBUG", ROOT / ".build" / "debug" / "webhook-bridge")).absolute()

# The published contract beside the repository wins over the copy in it; a test says when they differ.
PUBLISHED_CONTRACT = Path(os.environ.get("LEARNAULT_CONTRACT", ROOT.parent / "shared" / "contract"))
OWN_CONTRACT = SYSTEM / "contract"
CONTRACT = PUBLISHED_CONTRACT if (PUBLISHED_CONTRACT / "learnault-webhooks.md").exists() else OWN_CONTRACT
DOCUMENTATION = CONTRACT / "learnault-webhooks.md"
EXAMPLES = CONTRACT / "examples"
