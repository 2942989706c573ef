// A relay in front of PostgreSQL that cuts the connection at COMMIT, before or after the server has carried it out: the
// client cannot know which.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "tests/support/temp_dir.h"

namespace allod {

class CommitCutter {
 public:
  enum class Where { kBeforeTheServerSeesIt, kAfterTheServerDidIt };

  // Relays to the server of `upstream_url` (on a Unix socket or a TCP port). Throws std::runtime_error.
  explicit CommitCutter(const std::string& upstream_url);
  ~CommitCutter();  // joins
  CommitCutter(const CommitCutter&) = delete;

  // The same database through the relay.
  const std::string& url() const { return url_; }
  // The next COMMIT is cut, once.
  void CutNext(Where where);
  // Each `every`-th COMMIT is cut, now before and now after the server did it; 0: none any more.
  void CutEvery(int every) { every_ = every; }
  int cuts() const { return cuts_; }

 private:
  void Loop();
  int NextCut();

  std::string host_, port_, url_;
  TempDir dir_;
  int listener_ = -1;
  int wake_[2] = {-1, -1};
  std::atomic<int> next_cut_ = -1;  // a Where, or none
  std::atomic<int> every_ = 0;
  std::atomic<int> cuts_ = 0;
  int commits_ = 0;
  std::jthread thread_;
};

}  // namespace allod
