// A grammar that the answer must follow, run by llama.cpp: compiled for each choice of a request.
//
// Grammars and schemas are foreign. What one takes is bounded three times: sizes when it is compiled; memory and
// processor time of each piece of work; and the processor time of the whole answer, by how long it is so far. A grammar
// that exceeds one of them ends its own generation and nothing else. For one thread at a time; must not outlive the
// model.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "inference/engine/text/token_draw.h"
#include "inference/ports/output_constraint.h"
#include "services/common/result.h"

struct llama_sampler;
struct llama_vocab;

namespace allod::inference::engine::text {

// A grammar in llama.cpp's notation, and when it begins to count.
struct GrammarPlan {
  std::string gbnf;  // empty: everything is allowed
  bool is_lazy = false;
  // A lazy grammar begins where one of these patterns (ECMAScript) is found in the answer, or at one of these tokens.
  std::vector<std::string> trigger_patterns;
  std::vector<std::int32_t> trigger_tokens;
};

// Empty for no constraint. INVALID_ARGUMENT / INVALID_CONSTRAINT with what is wrong and where: a schema with a keyword
// that is not enforced (inference/schema/schema.h), a grammar that does not parse (inference/schema/gbnf.h).
Result<std::string> GrammarOf(const ports::OutputConstraint& constraint);

// What a constraint may use, of the processor. Both are far beyond what grammars and schemas of ordinary size take:
// some ten microseconds to check a token, some milliseconds to search a vocabulary.
struct ConstraintLimits {
  // One piece of work, which is not interrupted: checking some tokens, or taking one over.
  std::chrono::milliseconds piece{10};
  // The whole answer: this, and so much for each of its tokens.
  std::chrono::milliseconds at_first{1000};
  std::chrono::milliseconds per_token{50};
};

class Constraint final : public TokenRule {
 public:
  // INVALID_ARGUMENT / INVALID_CONSTRAINT when the grammar does not parse.
  static Result<std::unique_ptr<Constraint>> Compile(const llama_vocab& vocab, const GrammarPlan& plan);
  ~Constraint() override;

  // These fail with INVALID_ARGUMENT / CONSTRAINT_TOO_COSTLY; the object is then of no use any more.
  Status Check(std::span<const std::int32_t> tokens, std::span<bool> allowed) override;
  Status Accept(std::int32_t token) override;
  bool IsEnd(std::int32_t token) const override;

 private:
  struct SamplerDeleter {
    void operator()(llama_sampler* sampler) const;
  };
  using SamplerPtr = std::unique_ptr<llama_sampler, SamplerDeleter>;

  Constraint(const llama_vocab& vocab, SamplerPtr sampler) : vocab_(vocab), sampler_(std::move(sampler)) {}
  // Runs one piece of work; false when it took more than a piece may.
  template <typename Fn>
  Result<bool> Run(Fn fn);
  Status CheckTotals() const;

  static constexpr ConstraintLimits kLimits{};
  const llama_vocab& vocab_;
  SamplerPtr sampler_;
  std::ptrdiff_t bytes_ = 0;  // grown since it was compiled
  std::chrono::nanoseconds used_{};
  std::int64_t accepted_ = 0;
};

}  // namespace allod::inference::engine::text
