{if $vzq.trouble}
  <div class="alert alert-warning">{$vzq.trouble|escape}</div>
{/if}
{if $vzq.job}
  <div class="alert alert-info">In progress: {$vzq.job.verb|escape}, {$vzq.job.percent|escape} %</div>
{/if}
{if $vzq.container}
  <table class="table table-striped">
    <tr><th>Host name</th><td>{$vzq.container.hostname|escape}</td></tr>
    <tr><th>State</th><td>{$vzq.container.standing|escape}</td></tr>
    <tr><th>Addresses</th><td>{foreach $vzq.container.addresses as $address}{$address|escape}<br>{/foreach}</td></tr>
    <tr><th>System</th><td>{$vzq.container.template|escape}</td></tr>
    <tr><th>Memory</th><td>{$vzq.container.ram_mib|escape} MiB</td></tr>
    <tr><th>Disk</th><td>{if $vzq.container.disk_used_mib !== null}{$vzq.container.disk_used_mib|escape} of {/if}{$vzq.container.disk_mib|escape} MiB</td></tr>
    <tr><th>CPUs</th><td>{$vzq.container.cpus|escape}</td></tr>
  </table>
{elseif !$vzq.trouble && !$vzq.job}
  <p>Your server is not set up yet.</p>
{/if}
