// A grammar that the answer must follow, run by llama.cpp: compiled once per request, copied for each choice.
//
// A token is drawn as usual and only that token is checked, which costs microseconds; only when it is refused is the
// whole vocabulary masked and another one drawn. Grammars and schemas are foreign: sizes are bounded, and each call is
// made under an AllocationBudget, so that a grammar that explodes ends its own generation and nothing else. For one
// thread at a time; must not outlive the model.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "inference/generation.h"
#include "services/common/result.h"

struct llama_sampler;
struct llama_vocab;

namespace allod::inference {

// A grammar in llama.cpp's notation, and when it begins to count.
struct GrammarPlan {
  std::string gbnf;  // empty: everything is allowed
  bool is_lazy = false;
  // A lazy grammar begins where one of these patterns (ECMAScript) is found in the answer, or at one of these tokens.
  std::vector<std::string> trigger_patterns;
  std::vector<std::int32_t> trigger_tokens;
  // What of the answer the template has written already.
  std::vector<std::int32_t> prefill;
};

// INVALID_ARGUMENT / INVALID_CONSTRAINT with what is wrong: not JSON, more than 64 KiB, deeper than 32, nothing that
// llama.cpp can turn into a grammar of bounded size.
Result<std::string> GrammarOf(const OutputConstraint& constraint);
// Of a schema that was checked; `reason` is the error's.
Result<std::string> GrammarOf(const std::string& schema, const char* reason);
// The same checks for a schema that someone else converts. `what` names it in the message, `reason` is the error's.
Status CheckSchema(const std::string& schema, const std::string& what, const char* reason);

class Constraint {
 public:
  // INVALID_ARGUMENT / INVALID_CONSTRAINT when the grammar does not parse.
  static Result<std::unique_ptr<Constraint>> Compile(const llama_vocab& vocab, const GrammarPlan& plan);
  Result<std::unique_ptr<Constraint>> Copy() const;
  ~Constraint();

  // Whether `token` may come next. This and the following fail with INVALID_ARGUMENT / CONSTRAINT_TOO_COSTLY; the
  // object is then of no use any more.
  Result<bool> Allows(std::int32_t token);
  // Makes what may not come next impossible. False when nothing may.
  Result<bool> Mask(std::span<float> logits);
  Status Accept(std::int32_t token);

 private:
  struct SamplerDeleter {
    void operator()(llama_sampler* sampler) const;
  };
  using SamplerPtr = std::unique_ptr<llama_sampler, SamplerDeleter>;

  explicit Constraint(SamplerPtr sampler) : sampler_(std::move(sampler)) {}
  template <typename Fn>
  Status WithinBudget(Fn fn);

  SamplerPtr sampler_;
  std::ptrdiff_t bytes_ = 0;  // grown since it was compiled
};

}  // namespace allod::inference
