// A migrated PostgreSQL database of its own for one test: cloned from a template that is migrated once, dropped at the
// end.
//
//   TestDatabase database("billing");
//   PgPool pool(database.app_config());   // as allod_billing: neither owner nor superuser
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "services/common/pg/pool.h"
#include "tests/support/temp_dir.h"

namespace allod {

class TestDatabase {
 public:
  // migrations/<service> of the source tree. Throws std::runtime_error.
  explicit TestDatabase(const std::string& service);
  // Several services in one database, as in an installation.
  explicit TestDatabase(const std::vector<std::string>& services);
  // Migrations of the test's own.
  TestDatabase(const std::string& service, const std::filesystem::path& migrations);
  // Nothing in it.
  TestDatabase();
  ~TestDatabase();
  TestDatabase(const TestDatabase&) = delete;
  TestDatabase& operator=(const TestDatabase&) = delete;

  // As the app role of the (first) service.
  PgConfig app_config() const;
  PgConfig app_config(const std::string& service) const;
  // As the superuser that owns everything: to arrange and to look behind row-level security.
  const std::string owner_url;
  const std::string name;

 private:
  using Sources = std::vector<std::pair<std::string, std::filesystem::path>>;
  explicit TestDatabase(const Sources& sources);
  TestDatabase(const Sources& sources, const std::string& new_name);

  std::string first_service_;
  TempDir dir_;
};

// The source tree: ALLOD_SOURCE_DIR of the environment, else where the tests were built from.
std::filesystem::path SourceDir();

// The password of every app role in tests.
inline constexpr char kTestAppPassword[] = "only-for-tests";

}  // namespace allod
