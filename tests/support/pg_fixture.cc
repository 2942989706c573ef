#include "tests/support/pg_fixture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "services/common/digest.h"
#include "services/common/pg/migrations.h"
#include "tests/support/pg_server.h"

namespace allod {
namespace {

namespace fs = std::filesystem;
using Source = std::pair<std::string, fs::path>;

// Differs whenever a service, a file's name or a file's content differs.
std::string TemplateName(const std::vector<Source>& sources) {
  Sha256 digest;
  for (const auto& [service, directory] : sources) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(directory)) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    digest.Update(service.data(), service.size() + 1);
    for (const fs::path& file : files) {
      std::ifstream in(file, std::ios::binary);
      const std::string text = file.filename().string() + '\n' + std::string(std::istreambuf_iterator<char>(in), {});
      digest.Update(text.data(), text.size());
    }
  }
  return "allod_template_" + digest.FinishHex().substr(0, 20);
}

bool Exists(pqxx::nontransaction& session, const std::string& database) {
  return !session.exec_params("SELECT 1 FROM pg_database WHERE datname = $1", database).empty();
}

// Makes the template if it is not there; several test programs may share a server.
void MakeTemplate(pqxx::nontransaction& session, const std::string& name, const std::vector<Source>& sources) {
  session.exec("SELECT pg_advisory_lock(hashtext('allod.test_template'))");
  if (!Exists(session, name)) {
    const std::string draft = name + "_draft";
    session.exec(fmt::format("DROP DATABASE IF EXISTS {} WITH (FORCE)", draft));
    session.exec(fmt::format("CREATE DATABASE {}", draft));
    for (const auto& [service, directory] : sources) {
      const auto report = Migrate(PgServer::Get().Url(draft), service, directory, kTestAppPassword);
      if (!report) throw std::runtime_error("cannot migrate " + service + ": " + report.error().message);
    }
    session.exec(fmt::format("ALTER DATABASE {} RENAME TO {}", draft, name));
  }
  session.exec("SELECT pg_advisory_unlock(hashtext('allod.test_template'))");
}

std::vector<Source> SourcesOf(const std::vector<std::string>& services) {
  std::vector<Source> out;
  for (const std::string& service : services) out.emplace_back(service, SourceDir() / "migrations" / service);
  return out;
}

std::string NewName() {
  std::string id = Uuid::V7().ToString();
  std::erase(id, '-');
  return "allod_test_" + id;
}

}  // namespace

fs::path SourceDir() {
  const char* named = std::getenv("ALLOD_SOURCE_DIR");
  return named != nullptr ? named : ALLOD_TEST_SOURCE_DIR;
}

TestDatabase::TestDatabase(const std::string& service) : TestDatabase(SourcesOf({service})) {}
TestDatabase::TestDatabase(const std::vector<std::string>& services) : TestDatabase(SourcesOf(services)) {}
TestDatabase::TestDatabase(const std::string& service, const fs::path& migrations)
    : TestDatabase(Sources{{service, migrations}}) {}
TestDatabase::TestDatabase() : TestDatabase(Sources{}) {}

TestDatabase::TestDatabase(const Sources& sources) : TestDatabase(sources, NewName()) {}

TestDatabase::TestDatabase(const Sources& sources, const std::string& new_name)
    : owner_url(PgServer::Get().Url(new_name)), name(new_name) {
  pqxx::connection connection(PgServer::Get().Url("postgres"));
  pqxx::nontransaction session(connection);
  session.exec("SET client_min_messages = warning");
  std::string from = "template1";
  if (!sources.empty()) {
    first_service_ = sources.front().first;
    from = TemplateName(sources);
    MakeTemplate(session, from, sources);
  }
  session.exec(fmt::format("CREATE DATABASE {} TEMPLATE {}", name, from));
  // As Migrate() has it; a copy has the privileges of a new database.
  session.exec(fmt::format("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC", name));
  dir_.Write("password", kTestAppPassword);
}

TestDatabase::~TestDatabase() {
  try {
    pqxx::connection connection(PgServer::Get().Url("postgres"));
    pqxx::nontransaction session(connection);
    session.exec(fmt::format("DROP DATABASE IF EXISTS {} WITH (FORCE)", name));
  } catch (const std::exception&) {
    // The server is gone, and the database with it.
  }
}

PgConfig TestDatabase::app_config() const { return app_config(first_service_); }

PgConfig TestDatabase::app_config(const std::string& service) const {
  PgConfig out;
  out.url = PgServer::Get().UrlAs("allod_" + service, name);
  out.password_file = (dir_ / "password").string();
  return out;
}

}  // namespace allod
