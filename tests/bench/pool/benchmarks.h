// The benchmarks of the pool. Each runs within about two minutes, cleans up its instances, and returns what it found;
// comparisons are made in turns within one run, because machines are shared and noisy.
#pragma once

#include "tests/bench/pool/installation.h"
#include "tests/bench/pool/report.h"

namespace allod::bench {

struct BenchOptions {
  bool quick = false;  // smaller counts: whether it works, not how well
  bool peer = false;   // also run llama-server
  // What `batch` calls pooled and all others isolated; another class here shows what the class costs.
  std::string isolation_class;

  int Count(int full, int when_quick) const { return quick ? when_quick : full; }
  std::string Class(const std::string& ordinary) const { return isolation_class.empty() ? ordinary : isolation_class; }
};

// Memory of 32 isolated instances of one variant against that of one.
Report Density(Installation& installation, const BenchOptions& options);
// 8 isolated instances of 8 tenants decoding at once, against one alone, and against 8 llama-servers.
Report Contention(Installation& installation, const BenchOptions& options);
// From asking for an instance to its first token, against starting a llama-server.
Report ColdStart(Installation& installation, const BenchOptions& options);
// One tenant's latency while another floods the node with 16 streams.
Report Noisy(Installation& installation, const BenchOptions& options);
// A pooled worker of several tenants against llama-server --parallel.
Report Batch(Installation& installation, const BenchOptions& options);
// From a client's leaving to the end of the work done for it.
Report Cancel(Installation& installation, const BenchOptions& options);
// 512 streams that begin at once: on instances that have places for all, and on one that has not.
Report Burst(Installation& installation, const BenchOptions& options);
// Memory per stalled streaming reader. Wants an installation of its own: memory that earlier requests have freed would
// hide what readers take.
Report Readers(Installation& installation, const BenchOptions& options);

// A prompt like no other: nothing of it can come from a cache but a first word.
std::string FreshPrompt(int words);

}  // namespace allod::bench
