"""The usual server, a peer: one forward of transformers a request behind FastAPI: `python -m benchmarks.usual_server`.

It reads bodies and writes prompts as ours does, so that what differs is how attempts are judged.
"""

import asyncio
import math
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

PATH = "/v1/score"


def application(folder: Path) -> Any:
    """Answers `{"verdicts": [{"attempt_id", "score"}]}` for a body of one attempt; one thread computes."""
    import torch
    from fastapi import FastAPI, Request
    from fastapi.responses import JSONResponse
    from transformers import AutoModelForCausalLM

    from swe_rm import model
    from swe_rm.serve.received import UNNAMED, read_body
    from swe_rm.serve.settings import Settings

    torch.set_num_threads(1)
    ours, network = model.load(folder), AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    renderer, settings, yes_no = ours.renderer(), Settings(), list(ours.verdict_ids)
    worker, app = ThreadPoolExecutor(1), FastAPI()

    @torch.inference_mode()
    def judged(body: bytes) -> dict[str, Any]:
        (found,) = read_body(body, UNNAMED, settings).attempts
        ids = torch.tensor(renderer.prompt(found.trajectory).token_ids)[None]
        logits = network(input_ids=ids, use_cache=False, logits_to_keep=1).logits[0, 0, yes_no]
        score = 1 / (1 + math.exp(float(logits[1] - logits[0])))
        return {"attempt_id": found.trajectory.attempt_id, "score": score}

    async def answered(request: Request) -> JSONResponse:
        body = await request.body()
        return JSONResponse({"verdicts": [await asyncio.get_running_loop().run_in_executor(worker, judged, body)]})

    app.add_api_route(PATH, answered, methods=["POST"], response_model=None)
    return app


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(application(Path(sys.argv[1])), host="127.0.0.1", port=0, access_log=False)
