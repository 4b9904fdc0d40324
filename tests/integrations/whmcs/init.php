<?php

/**
 * WHMCS as far as the module meets it, and nothing of vzq: its database (SQLite), its localAPI, its logs, its hooks.
 * The module's files under test are the real ones. WHMCS_STATE names the folder of this installation.
 */

namespace WHMCS\Database {

    /** The few words of Laravel's query builder that the module speaks, with the same meaning. */
    final class Capsule
    {
        private static ?\PDO $pdo = null;

        public static function pdo(): \PDO
        {
            if (self::$pdo === null) {
                self::$pdo = new \PDO('sqlite:' . getenv('WHMCS_STATE') . '/whmcs.sqlite', null, null, [\PDO::ATTR_ERRMODE => \PDO::ERRMODE_EXCEPTION]);
                self::$pdo->exec('pragma busy_timeout = 20000');
            }
            return self::$pdo;
        }

        public static function table(string $name): Query
        {
            return new Query($name);
        }

        public static function schema(): Schema
        {
            return new Schema();
        }

        public static function connection(): Connection
        {
            return new Connection();
        }
    }

    final class Connection
    {
        /** @return mixed */
        public function transaction(callable $work)
        {
            Capsule::pdo()->exec('begin immediate');  // so that lockForUpdate means what it says
            try {
                $result = $work();
                Capsule::pdo()->exec('commit');
                return $result;
            } catch (\Throwable $error) {
                Capsule::pdo()->exec('rollback');
                throw $error;
            }
        }
    }

    final class Rows
    {
        public function __construct(private array $rows)
        {
        }

        public function all(): array
        {
            return $this->rows;
        }
    }

    final class Query
    {
        private array $where = [];
        private array $values = [];
        private string $tail = '';

        public function __construct(private string $table)
        {
        }

        public function where(string $column, $operator, $value = null): self
        {
            [$operator, $value] = func_num_args() === 2 ? ['=', $operator] : [$operator, $value];
            $this->where[] = "\"$column\" $operator ?";
            $this->values[] = $value;
            return $this;
        }

        public function orderBy(string $column, string $way = 'asc'): self
        {
            $this->tail .= ($this->tail === '' ? ' order by ' : ', ') . "\"$column\" $way";
            return $this;
        }

        public function limit(int $rows): self
        {
            $this->tail .= " limit $rows";
            return $this;
        }

        public function lockForUpdate(): self
        {
            return $this;
        }

        public function get(): Rows
        {
            return new Rows($this->run("select * from \"{$this->table}\"{$this->conditions()}{$this->tail}", $this->values)->fetchAll(\PDO::FETCH_OBJ));
        }

        public function first(): ?object
        {
            return $this->get()->all()[0] ?? null;
        }

        public function value(string $column)
        {
            return $this->first()->$column ?? null;
        }

        public function insert(array $row): bool
        {
            return $this->add('insert', $row);
        }

        public function insertOrIgnore(array $row): bool
        {
            return $this->add('insert or ignore', $row);
        }

        public function update(array $fields): int
        {
            $set = implode(', ', array_map(fn ($name) => "\"$name\" = ?", array_keys($fields)));
            return $this->run("update \"{$this->table}\" set $set{$this->conditions()}", [...array_values($fields), ...$this->values])->rowCount();
        }

        private function add(string $how, array $row): bool
        {
            $names = implode(', ', array_map(fn ($name) => "\"$name\"", array_keys($row)));
            $marks = implode(', ', array_fill(0, count($row), '?'));
            return $this->run("$how into \"{$this->table}\" ($names) values ($marks)", array_values($row))->rowCount() === 1;
        }

        private function conditions(): string
        {
            return $this->where ? ' where ' . implode(' and ', $this->where) : '';
        }

        private function run(string $sql, array $values): \PDOStatement
        {
            $statement = Capsule::pdo()->prepare($sql);
            foreach (array_values($values) as $place => $value) {
                $statement->bindValue($place + 1, $value, is_int($value) ? \PDO::PARAM_INT : ($value === null ? \PDO::PARAM_NULL : \PDO::PARAM_STR));
            }
            $statement->execute();
            return $statement;
        }
    }

    final class Schema
    {
        public function hasTable(string $name): bool
        {
            $found = Capsule::pdo()->prepare("select 1 from sqlite_master where type = 'table' and name = ?");
            $found->execute([$name]);
            return $found->fetchColumn() !== false;
        }

        public function create(string $name, callable $describe): void
        {
            $table = new Blueprint();
            $describe($table);
            Capsule::pdo()->exec("create table \"$name\" (" . implode(', ', [...array_map(fn ($column) => $column->sql(), $table->columns), ...$table->rules]) . ')');
        }
    }

    final class Blueprint
    {
        public array $columns = [];
        public array $rules = [];

        public function __call(string $type, array $arguments): Column
        {
            return $this->columns[] = new Column($arguments[0], ['string' => "varchar({$this->length($arguments)})", 'bigInteger' => 'bigint', 'increments' => 'integer primary key'][$type] ?? $type);
        }

        public function unique(array $columns): void
        {
            $this->rules[] = 'unique (' . implode(', ', $columns) . ')';
        }

        public function index(array $columns): void
        {
        }

        private function length(array $arguments): int
        {
            return $arguments[1] ?? 255;
        }
    }

    /** Not null unless said otherwise, as in MySQL's strict mode. */
    final class Column
    {
        private string $rest = ' not null';

        public function __construct(private string $name, private string $type)
        {
        }

        public function nullable(): self
        {
            $this->rest = str_replace(' not null', '', $this->rest);
            return $this;
        }

        public function default($value): self
        {
            $this->rest .= ' default ' . (is_int($value) ? $value : Capsule::pdo()->quote($value));
            return $this;
        }

        public function primary(): self
        {
            $this->rest .= ' primary key';
            return $this;
        }

        public function unique(): self
        {
            $this->rest .= ' unique';
            return $this;
        }

        public function sql(): string
        {
            return "\"{$this->name}\" {$this->type}{$this->rest}";
        }
    }
}

namespace {

    use WHMCS\Database\Capsule;

    define('WHMCS', true);

    const STATUS_AFTER = ['CreateAccount' => 'Active', 'SuspendAccount' => 'Suspended', 'UnsuspendAccount' => 'Active', 'TerminateAccount' => 'Terminated'];
    $hooks = [];

    function add_hook(string $name, int $priority, callable $work): void
    {
        $GLOBALS['hooks'][$name][] = $work;
    }

    function logModuleCall($module, $action, $request, $response, $processed = null, $masks = []): void
    {
        $text = json_encode([$action, $request, $response, $processed], JSON_UNESCAPED_SLASHES);
        file_put_contents(getenv('WHMCS_STATE') . '/module.log', str_replace($masks, '***', $text) . "\n", FILE_APPEND);
    }

    function logActivity(string $text): void
    {
        file_put_contents(getenv('WHMCS_STATE') . '/activity.log', "$text\n", FILE_APPEND);
    }

    function encrypted(string $text): string
    {
        $iv = random_bytes(12);
        return base64_encode($iv . openssl_encrypt($text, 'aes-256-gcm', str_repeat('k', 32), OPENSSL_RAW_DATA, $iv, $tag) . $tag);
    }

    function decrypted(string $sealed): string
    {
        $raw = base64_decode($sealed);
        return (string) openssl_decrypt(substr($raw, 12, -16), 'aes-256-gcm', str_repeat('k', 32), OPENSSL_RAW_DATA, substr($raw, 0, 12), substr($raw, -16));
    }

    /** What WHMCS hands to a module's function. */
    function params(int $serviceId): array
    {
        $service = Capsule::table('tblhosting')->where('id', $serviceId)->first();
        $product = Capsule::table('tblproducts')->where('id', $service->packageid)->first();
        return (array) $product + serverParams((int) $service->server) + [
            'serviceid' => $serviceId,
            'pid' => (int) $service->packageid,
            'userid' => (int) $service->userid,
            'domain' => $service->domain,
            'username' => $service->username,
            'password' => decrypted($service->password),
            'configoptions' => json_decode($service->configoptions, true),
            'customfields' => [],
            'moduletype' => 'vzq',
        ];
    }

    function serverParams(int $serverId): array
    {
        $server = Capsule::table('tblservers')->where('id', $serverId)->first();
        return [
            'serverid' => $serverId,
            'server' => true,
            'serverip' => $server->ipaddress,
            'serverhostname' => $server->hostname,
            'serverusername' => '',
            'serverpassword' => decrypted($server->password),
            'serveraccesshash' => $server->accesshash,
            'serversecure' => $server->secure === 'on',
            'serverport' => $server->port,
        ];
    }

    /** Run a module's function as WHMCS does: the word success changes the status, and Create sends the welcome mail. */
    function moduleCall(string $function, int $serviceId, array $more = []): string
    {
        require_once __DIR__ . '/modules/servers/vzq/vzq.php';
        $result = ("vzq_$function")($more + params($serviceId));
        if ($result === 'success') {
            if (isset(STATUS_AFTER[$function])) {
                Capsule::table('tblhosting')->where('id', $serviceId)->update(['domainstatus' => STATUS_AFTER[$function]]);
            }
            if ($function === 'CreateAccount') {
                $sent = Capsule::table('tblhosting')->where('id', $serviceId)->first();  // the mail carries what is in the row now
                Capsule::table('mails')->insert(['serviceid' => $serviceId, 'address' => $sent->dedicatedip, 'password' => $sent->password]);
            }
        }
        return $result;
    }

    function localAPI(string $command, array $values, string $admin = ''): array
    {
        $modules = ['ModuleCreate' => 'CreateAccount', 'ModuleSuspend' => 'SuspendAccount', 'ModuleUnsuspend' => 'UnsuspendAccount', 'ModuleTerminate' => 'TerminateAccount'];
        if (isset($modules[$command])) {
            $result = moduleCall($modules[$command], (int) $values['serviceid'], array_diff_key($values, ['serviceid' => 0]));
            return $result === 'success' ? ['result' => 'success'] : ['result' => 'error', 'message' => $result];
        }
        if ($command === 'EncryptPassword') {
            return ['result' => 'success', 'password' => encrypted($values['password2'])];
        }
        if ($command === 'DecryptPassword') {
            return ['result' => 'success', 'password' => decrypted($values['password2'])];
        }
        if ($command === 'UpdateClientProduct') {
            $names = ['serviceusername' => 'username', 'servicepassword' => 'password', 'dedicatedip' => 'dedicatedip', 'assignedips' => 'assignedips'];
            $fields = [];
            foreach (array_diff_key($values, ['serviceid' => 0]) as $name => $value) {
                $fields[$names[$name]] = $name === 'servicepassword' ? encrypted($value) : $value;
            }
            Capsule::table('tblhosting')->where('id', $values['serviceid'])->update($fields);
            return ['result' => 'success', 'serviceid' => $values['serviceid']];
        }
        return ['result' => 'error', 'message' => "Command Not Found: $command"];
    }
}
