#include "inference/engine/llama_context.h"

#include <llama.h>

namespace allod::inference::engine {

void ContextDeleter::operator()(llama_context* context) const { llama_free(context); }

void BatchDeleter::operator()(llama_batch* batch) const {
  llama_batch_free(*batch);
  delete batch;
}

BatchPtr MakeBatch(std::int32_t tokens) { return BatchPtr(new llama_batch(llama_batch_init(tokens, 0, 1))); }

void AddToBatch(llama_batch& batch, std::int32_t token, std::int32_t position, std::int32_t slot, bool wants_output) {
  const std::int32_t i = batch.n_tokens++;
  batch.token[i] = token;
  batch.pos[i] = position;
  batch.n_seq_id[i] = 1;
  batch.seq_id[i][0] = slot;
  batch.logits[i] = wants_output ? 1 : 0;
}

}  // namespace allod::inference::engine
